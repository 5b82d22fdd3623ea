from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.core.autodiff.cases import case, normal

LARGE = np.iinfo(np.int64).max
SMALL = np.iinfo(np.int64).min


def cut(
    note: str,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
    torch: Callable[..., Any] | None = None,
    **fields: Any,
) -> None:
    """Register three cases: numbers stored, fed, and all but the starts and ends stored."""
    numbers = [None if n is None else np.array(n, np.int64) for n in (starts, ends, axes, steps)]
    while numbers[-1] is None:
        del numbers[-1]
    x = normal(5, 6, 4)
    case("Slice", x, *numbers, note=note, torch=torch, **fields)
    case("Slice", x, *numbers, note=f"{note}, fed", torch=torch, stored=(), **fields)
    if len(numbers) > 2:
        kept = [i + 1 for i, n in enumerate(numbers) if n is not None and i > 1]
        case("Slice", x, *numbers, note=f"{note}, fed bounds", torch=torch, stored=kept, **fields)


cut("plain", [1, 2], [3, 5], torch=lambda x, *_: x[1:3, 2:5])
cut("axes", [1, 2], [3, 3], [0, -1], torch=lambda x, *_: x[1:3, :, 2:3])
cut("from the end", [-3], [-1], [1], torch=lambda x, *_: x[:, -3:-1])
cut("to the end", [2], [LARGE], [1], torch=lambda x, *_: x[:, 2:])
cut("beyond the ends", [-99], [99], [1], torch=lambda x, *_: x)
cut("nothing", [4], [2], [1], smooth=False)  # no element, no gradient to differentiate
cut("nothing, beyond", [9], [12], [1], smooth=False)
cut("strided", [0, 1], [LARGE, LARGE], [0, 1], [2, 2], lambda x, *_: x[::2, 1::2])
cut("strided, not to the end", [1], [5], [1], [3], lambda x, *_: x[:, 1:5:3])
cut("backwards", [-1, 3], [SMALL, 0], [1, 2], [-1, -1], lambda x, *_: x.flip(1)[..., [3, 2, 1]])
cut("backwards, strided", [99], [0], [1], [-2], lambda x, *_: x[:, [5, 3, 1]])
cut("mixed", [4, 0], [1, 5], [0, 1], [-2, 2], lambda x, *_: x[[4, 2]][:, :5:2])
case(
    "Slice", normal(5, 6), np.array([1], np.int32), np.array([3], np.int32), stored=(),
    note="int32", torch=lambda x, *_: x[1:3],
)  # fmt: skip
