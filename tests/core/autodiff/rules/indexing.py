from __future__ import annotations

import numpy as np
import torch

from tests.core.autodiff.cases import case, normal, spread

IDS = np.array([[0, 2], [2, 1]], np.int64)
X = normal(3, 4, 5)


def at(*numbers: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


for stored in ((1,), ()):
    note = "stored" if stored else "fed"
    case("Gather", X, IDS, stored=stored, torch=lambda x, i: x[i], note=note)
    case(
        "Gather", X, IDS - 1, stored=stored, axis=1, torch=lambda x, i: x[:, i],
        note=f"axis 1, negative, {note}",
    )  # fmt: skip
    case(
        "Gather", X, at(4, 0, 4), stored=stored, axis=-1, torch=lambda x, i: x[..., i],
        note=f"last axis, {note}",
    )  # fmt: skip
    case(
        "Gather", X, np.array(-1), stored=stored, axis=1, torch=lambda x, i: x[:, i],
        note=f"one, {note}",
    )  # fmt: skip
    case(
        "Gather", X, at(2), stored=stored, axis=2, torch=lambda x, i: x[..., i],
        note=f"one, kept, {note}",
    )  # fmt: skip
    # Tables large enough for each way of adding rows up.
    case(
        "Gather", normal(70, 3), IDS, stored=stored, torch=lambda x, i: x[i],
        note=f"few rows, {note}",
    )  # fmt: skip
MANY = np.random.default_rng(0).integers(-70, 70, 460)
case("Gather", normal(70, 9), MANY, stored=(), torch=lambda x, i: x[i], note="many rows")
case("Gather", X, at(0, 2, 1), torch=lambda x, i: x[i], note="each once")
case("Gather", X, np.zeros((0,), np.int64), note="none", torch=lambda x, i: x[i], smooth=False)
case("Gather", normal(6), IDS, torch=lambda x, i: x[i], note="vector")
case(
    "GatherElements", X, np.random.default_rng(0).integers(-4, 4, (3, 2, 5)), axis=1,
    torch=lambda x, i: torch.gather(x, 1, i % 4),
)  # fmt: skip
case("GatherElements", X, np.array([[[0, 1, 1]]]), axis=-1, stored=(), note="smaller")
case(
    "GatherND", X, np.array([[0, 1], [2, -1], [0, 1]]),
    torch=lambda x, i: x[i[:, 0], i[:, 1]],
)  # fmt: skip
case("GatherND", X, np.array([[0, 1, 2], [0, 1, 2]]), stored=(), note="elements")
case(
    "GatherND", X, np.array([[1], [0], [-1]]), batch_dims=1, note="batch",
    torch=lambda x, i: x[torch.arange(3), i[:, 0]],
)  # fmt: skip
case("GatherND", X, IDS[[0, 1, 1]][:, :, None], batch_dims=1, stored=(), note="batch, fed")
case(
    "Compress", X, np.array([True, False, True]), axis=1,
    torch=lambda x, _c: x[:, [0, 2]],
)  # fmt: skip
case("Compress", X, np.array([False, True]), axis=-2, stored=(), note="negative axis, fed")
case(
    "Compress", X, np.array([False, True, True]), note="flat",
    torch=lambda x, _c: x.reshape(-1)[1:3],
)  # fmt: skip
for axis, largest in ((-1, 1), (1, 0)):
    case(
        "TopK", spread(2, 4, 3), at(2), axis=axis, largest=largest, outputs=2,
        note=f"axis={axis} largest={largest}",
        torch=lambda x, _k, axis=axis, largest=largest: x.topk(2, axis, bool(largest))[0],
    )  # fmt: skip
case(
    "OneHot", at(0, 2, -1), np.array(3), normal(2),
    torch=lambda i, _d, v: v[torch.nn.functional.one_hot(i % 3, 3)],
)  # fmt: skip
case("OneHot", IDS, np.array([4]), normal(2), axis=1, stored=(), note="axis 1")
