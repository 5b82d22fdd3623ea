from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as f

from tests.core.autodiff.cases import case, normal


def ints(*numbers: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


X = normal(2, 3, 4)
YES, NO = np.ones((), bool), np.zeros((), bool)

case("Reshape", X, ints(4, -1), torch=lambda x, _s: x.reshape(4, -1))
case("Reshape", X, ints(0, 12), torch=lambda x, _s: x.reshape(2, 12), note="keeps a size")
case("Reshape", normal(3, 0, 2), ints(0, 2, 3), allowzero=1, note="no elements")
case("Reshape", X, ints(4, 6), stored=(), note="computed shape")
for axis in (0, 2, -1):
    case("Flatten", X, axis=axis, note=f"axis={axis}")
case("Squeeze", normal(2, 1, 3, 1), ints(1, -1), torch=lambda x, _a: x.squeeze(1).squeeze(-1))
case("Squeeze", normal(2, 1, 3, 1), torch=torch.squeeze, note="all", dynamic=False)
case("Unsqueeze", X, ints(0, -1), torch=lambda x, _a: x[None, ..., None])
case("Transpose", X, perm=[2, 0, 1], torch=lambda x: x.permute(2, 0, 1))
case("Transpose", X, torch=lambda x: x.permute(2, 1, 0), note="reversed")
case("Expand", normal(3, 1), ints(2, 3, 4), torch=lambda x, _s: x.expand(2, 3, 4))
case("Expand", X, ints(1, 1), note="nothing to repeat")
case("Expand", normal(3, 1), ints(2, 1, 4), stored=(), note="computed shape")
case("Tile", X, ints(2, 1, 3), torch=lambda x, _r: x.tile(2, 1, 3))
case("Tile", X, ints(1, 1, 1), torch=lambda x, _r: x.tile(1, 1, 1), note="once")
case("Tile", X, ints(2, 0, 3), torch=lambda x, _r: x.tile(2, 0, 3), note="never")
case("Tile", X, ints(2, 1, 3), stored=(), torch=lambda x, _r: x.tile(2, 1, 3), note="computed")
case("DepthToSpace", normal(2, 12, 2, 3), blocksize=2)
case(
    "DepthToSpace", normal(2, 12, 2, 3), blocksize=2, mode="CRD", note="CRD",
    torch=lambda x: f.pixel_shuffle(x, 2),
)  # fmt: skip
case("SpaceToDepth", normal(2, 3, 4, 6), blocksize=2)
case(
    "SpaceToDepth", normal(2, 3, 4, 6), blocksize=2, mode="CRD", opset=28, note="CRD",
    torch=lambda x: f.pixel_unshuffle(x, 2),
)  # fmt: skip
case("Trilu", X, torch=torch.triu)
case("Trilu", X, np.array(1), upper=0, torch=lambda x, _k: x.tril(1), note="lower")
case("Trilu", X, np.array(-1), upper=1, stored=(), torch=lambda x, _k: x.triu(-1), note="k fed")
case("ReverseSequence", normal(4, 3, 2), ints(4, 1, 2), time_axis=0, batch_axis=1)
case("ReverseSequence", normal(3, 4), ints(4, 1, 2), time_axis=1, batch_axis=0, note="batch first")
case("Dropout", X, torch=lambda x: x, note="inference")
case("Dropout", X, np.array(0.4), NO, wrt=(0,), stored=(1, 2), note="not training")
# With a seed, ONNX Runtime draws the same mask in every new session.
case(
    "Dropout", X, np.array(0.4), YES, wrt=(0,), stored=(1, 2), seed=3, random=True, note="training"
)
case("Dropout", X, None, YES, seed=3, outputs=2, random=True, note="with mask")
case("Dropout", X, np.array(0.4), YES, wrt=(0,), stored=(1,), seed=3, random=True, note="told to")
case("Dropout", X, None, NO, wrt=(0,), stored=(), seed=3, note="told not to")
for axis in (1, -2):
    case(
        "Concat", X, normal(2, 2, 4), normal(2, 1, 4), axis=axis, note=f"axis={axis}",
        torch=lambda a, b, c: torch.cat([a, b, c], 1),
    )  # fmt: skip
case("Concat", X, axis=0, torch=lambda x: x, note="one")
case("Concat", X, normal(0, 3, 4), axis=0, torch=lambda a, b: torch.cat([a, b]), note="empty part")
for axis in (2, -1):
    case(
        "Split", X, ints(1, 3), axis=axis, outputs=2, of=1, note=f"axis={axis}",
        torch=lambda x, _s: x[:, :, 1:],
    )  # fmt: skip
case(
    "Split", normal(5, 2), outputs=3, num_outputs=3, of=2, note="num_outputs",
    torch=lambda x: x[4:],
)  # fmt: skip
case("Split", normal(4, 2), ints(1, 3), stored=(), outputs=2, note="computed sizes")
