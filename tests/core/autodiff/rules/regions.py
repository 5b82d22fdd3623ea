from __future__ import annotations

from typing import Any

import numpy as np

from tests.core.autodiff.cases import case, normal

X = normal(2, 3, 6, 7)
BOXES = np.array([[0.3, 0.4, 4.7, 3.9], [1.2, 1.1, 6.9, 5.6], [-1.4, 2.2, 3.1, 8.3]])
IMAGES = np.array([0, 1, 1])

# torchvision is no dependency of the tests; ONNX Runtime's own operator says what is right.
KINDS: dict[str, dict[str, Any]] = {
    "": {"sampling_ratio": 2},
    "as many points as pixels": {},
    "without the half pixel": {"coordinate_transformation_mode": "output_half_pixel"},
    "three points, scaled": {"sampling_ratio": 3, "spatial_scale": 0.6},
}
for note, attributes in KINDS.items():
    case("RoiAlign", X, BOXES, IMAGES, wrt=[0], note=note, output_height=3,
         output_width=2, **attributes)  # fmt: skip
case("RoiAlign", X, BOXES, IMAGES, wrt=[0], note="stored regions", output_height=2,
     output_width=2, stored=(1, 2))  # fmt: skip
