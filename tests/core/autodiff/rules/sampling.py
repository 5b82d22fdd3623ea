from __future__ import annotations

from itertools import product

import numpy as np
import torch.nn.functional as f

from tests.core.autodiff.cases import case


def image(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.random.default_rng(shape).standard_normal(shape)


def grid(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Coordinates, in and out of range, away from all pixels and the middles between them."""
    fine = np.arange(-1.6, 1.6, 0.007)
    kinks = np.concatenate([np.arange(-2 * n, 2 * n + 1) / n for n in (3, 4, 5)])
    clear = fine[np.abs(fine[:, None] - kinks).min(1) > 0.015]
    return np.random.default_rng(shape).choice(clear, shape)


TORCH = {"linear": "bilinear", "nearest": "nearest", "cubic": "bicubic"}
for mode, padding, align in product(TORCH, ("zeros", "border", "reflection"), (0, 1)):
    case(
        "GridSample", image(2, 3, 4, 5), grid(2, 3, 4, 2), mode=mode, padding_mode=padding,
        align_corners=align, note=f"{mode} {padding} align={align}", step=1e-3, tolerance=5e-2,
        torch=lambda x, g, mode=mode, padding=padding, align=align: f.grid_sample(
            x, g, TORCH[mode], padding, bool(align)
        ),
    )  # fmt: skip
for padding in ("zeros", "border", "reflection"):
    case(
        "GridSample", image(1, 2, 3, 4, 3), grid(1, 2, 3, 2, 3), padding_mode=padding,
        note=f"3-D {padding}", step=1e-3, tolerance=5e-2,
        torch=lambda x, g, padding=padding: f.grid_sample(
            x, g, "bilinear", padding, align_corners=False
        ),
    )  # fmt: skip
case("GridSample", image(1, 2, 1, 4), grid(1, 2, 3, 2), align_corners=1, padding_mode="reflection",
     note="one pixel high", wrt=(0,))  # fmt: skip
case("AffineGrid", np.array([[[1.0, 0.2, 0.1], [-0.3, 0.8, 0.4]]]), np.array([1, 2, 3, 4]),
     torch=lambda t, _s: f.affine_grid(t, [1, 2, 3, 4], align_corners=False))  # fmt: skip
case("CenterCropPad", image(4, 3, 5), np.array([2, 6]), axes=[0, 2])
