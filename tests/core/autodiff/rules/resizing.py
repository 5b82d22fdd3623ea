from __future__ import annotations

from itertools import product

import numpy as np
import torch.nn.functional as f

from tests.core.autodiff.cases import case, normal

X = normal(1, 2, 3, 4)
MODES = ("nearest", "linear", "cubic")
COORDINATES = (
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
)  # fmt: skip


def scales(*numbers: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array(numbers, np.float64)


def sizes(*numbers: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


for mode, coordinates in product(MODES, COORDINATES):
    case(
        "Resize", X, None, scales(1, 1, 1.7, 0.6), wrt=(0,), stored=(2,), mode=mode,
        coordinate_transformation_mode=coordinates, note=f"{mode} {coordinates}",
    )  # fmt: skip
    case(
        "Resize", X, None, None, sizes(1, 2, 5, 8), mode=mode,
        coordinate_transformation_mode=coordinates, note=f"{mode} {coordinates} sizes",
    )  # fmt: skip
for mode, name in {"linear": "bilinear", "cubic": "bicubic"}.items():
    for align in (False, True):
        case(
            "Resize", X, None, None, sizes(1, 2, 5, 8), mode=mode, note=f"{name} align={align}",
            coordinate_transformation_mode="align_corners" if align else "pytorch_half_pixel",
            cubic_coeff_a=-0.75,
            torch=lambda x, *_, name=name, align=align: f.interpolate(
                x, size=(5, 8), mode=name, align_corners=align
            ),
        )  # fmt: skip
    case(
        "Resize", X, None, scales(1, 1, 0.6, 1.5), wrt=(0,), stored=(2,), mode=mode, antialias=1,
        note=f"{mode} antialias", cubic_coeff_a=-0.5,
    )  # fmt: skip
# Each element repeated, which is a sum in reverse; `nearest_mode` decides whether it is.
ROUNDING = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
for nearest, coordinates, n in product(ROUNDING, ("half_pixel", "asymmetric"), (2, 3)):
    case(
        "Resize", X, None, scales(1, 1, n, 2), wrt=(0,), stored=(2,), nearest_mode=nearest,
        coordinate_transformation_mode=coordinates, note=f"{nearest} {coordinates} {n}",
    )  # fmt: skip
case(
    "Resize", X, None, scales(1, 1, 2, 2), wrt=(0,), stored=(2,), nearest_mode="floor",
    coordinate_transformation_mode="asymmetric", note="upsampled",
    torch=lambda x, *_: f.interpolate(x, scale_factor=2),
)  # fmt: skip
case("Resize", X, None, None, sizes(2, 2, 3, 8), note="repeated along the batch")
case("Resize", normal(2, 3, 4), None, scales(1, 1, 2.5), wrt=(0,), stored=(2,), note="1-D")
case(
    "Resize", normal(1, 1, 2, 3, 2), None, scales(1, 1, 2, 1.5, 2), wrt=(0,), stored=(2,),
    mode="linear", note="3-D",
)  # fmt: skip
case("Resize", normal(1, 1, 2, 3, 2), None, None, sizes(1, 1, 4, 3, 4), note="3-D, repeated")
case("Resize", X, None, scales(2.5, 1), wrt=(0,), stored=(), axes=[-1, 2], note="axes, fed")
case(
    "Resize",
    X,
    None,
    None,
    sizes(7, 6),
    axes=[2, 3],
    mode="cubic",
    stored=(),
    note="sizes fed",
    dynamic=False,
)  # ONNX Runtime does not load it without knowing how many sizes there are
case(
    "Resize", X, None, scales(1, 1, 1.7, 0.6), wrt=(0,), stored=(2,), mode="cubic",
    exclude_outside=1, note="exclude_outside",
)  # fmt: skip
case(
    "Resize", normal(1, 1, 5, 6), scales(0, 0, 0.2, -0.3, 1, 1, 0.8, 1.2), None,
    sizes(1, 1, 4, 7), wrt=(0,), stored=(1, 3), mode="linear", extrapolation_value=2.0,
    coordinate_transformation_mode="tf_crop_and_resize", note="crop",
)  # fmt: skip
for policy, mode in (("not_larger", "linear"), ("not_smaller", "nearest")):
    case(
        "Resize", X, None, None, sizes(5, 6), axes=[2, 3], mode=mode,
        keep_aspect_ratio_policy=policy, note=policy,
    )  # fmt: skip
