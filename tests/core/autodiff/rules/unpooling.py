from __future__ import annotations

import numpy as np
import torch.nn.functional as f

from tests.core.autodiff.cases import case, normal

PLACES = np.array([[[[0, 3], [9, 10]], [[17, 18], [25, 31]]]])  # in all of (1, 2, 4, 4)
case("MaxUnpool", normal(1, 2, 2, 2), PLACES, kernel_shape=[2, 2], strides=[2, 2])
case(
    "MaxUnpool", normal(1, 2, 2, 2), PLACES, np.array([1, 2, 5, 5]), kernel_shape=[2, 2],
    strides=[2, 2], note="output_shape",
)  # fmt: skip
case(
    "Col2Im", normal(2, 12, 6), np.array([4, 5]), np.array([2, 2]), pads=[0, 1, 1, 0],
    strides=[2, 2], dilations=[1, 1], dynamic=False,
)  # fmt: skip
case(
    "Col2Im", normal(2, 12, 4), np.array([5, 5]), np.array([2, 2]), strides=[2, 2],
    dilations=[2, 2], note="dilated",
    torch=lambda x, *_: f.fold(x, (5, 5), (2, 2), dilation=2, stride=2),
)  # fmt: skip
case("Col2Im", normal(1, 6, 4), np.array([5]), np.array([2]), note="1-D")
