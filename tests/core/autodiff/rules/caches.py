from __future__ import annotations

from typing import Any

import numpy as np

from tests.core.autodiff.cases import case, normal

PLACES = np.array([2, 0])


def written(axis: int, *, circular: bool = False) -> Any:
    """Return TensorScatter in PyTorch."""

    def function(past: Any, update: Any, places: Any = None) -> Any:
        cache, new = past.movedim(axis, 1).clone(), update.movedim(axis, 1)
        for batch in range(len(cache)):
            for index in range(new.shape[1]):
                place = index + (0 if places is None else int(places[batch]))
                place = place % cache.shape[1] if circular else place
                cache[batch, place] = new[batch, index]
        return cache.movedim(1, axis)

    return function


of, new = normal(2, 3, 5, 4), normal(2, 3, 2, 4, seed=1)
case("TensorScatter", of, new, PLACES, opset=24, stored=(), torch=written(2))
case("TensorScatter", of, new, opset=24, note="from the start", torch=written(2))
case("TensorScatter", of, new, PLACES, opset=24, note="stored places", torch=written(2))
case("TensorScatter", normal(2, 5, 4), normal(2, 2, 4, seed=1), PLACES, opset=24, axis=1,
     note="axis 1", torch=written(1))  # fmt: skip
case("TensorScatter", of, new, np.array([4, 3]), opset=24, mode="circular", note="circular",
     torch=written(2, circular=True))  # fmt: skip
