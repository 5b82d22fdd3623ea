"""`Custom`: an augmentation of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, final

import numpy as np

from onnxpress.data.augment.augmentation import Augmentation
from onnxpress.data.augment.inputs import described
from onnxpress.data.batch import Array, Batch
from onnxpress.data.checks import check_finite
from onnxpress.data.items import to_array
from onnxpress.errors import DataError, OnnxpressError


@final
class Custom(Augmentation):
    """A function ``f(feeds, labels, rng) -> (feeds, labels)``.

    It gets copies, which it may change in place.  To be repeatable it must take all chance
    from `rng`, a ``numpy.random.Generator``.

    Attributes:
        function: The function.
        spec: What recipes and errors call it: ``package.module:callable``.
    """

    name: ClassVar[str] = "custom"

    function: Callable[..., Any]
    spec: str

    def apply(self, batch: Batch, rng: np.random.Generator) -> Batch:
        feeds = {name: array.copy() for name, array in batch.feeds.items()}
        labels = None if batch.labels is None else batch.labels.copy()
        try:
            result = self.function(feeds, labels, rng)
        except OnnxpressError:
            raise
        except Exception as error:
            kind = type(error).__name__
            raise DataError(f"augmentation {self.spec} failed: {kind}: {error}") from error
        return self._checked(result, batch)

    def table(self) -> dict[str, Any]:
        return {"use": self.spec}

    def _checked(self, result: Any, batch: Batch) -> Batch:
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], Mapping):  # noqa: PLR2004
            raise DataError(
                f"augmentation {self.spec} returned {type(result).__name__}; it must return a "
                "tuple of feeds (a dict of arrays by input name) and labels"
            )
        feeds, labels = result
        if feeds.keys() != batch.feeds.keys():
            raise DataError(
                f"augmentation {self.spec} returned inputs {', '.join(map(str, feeds)) or 'none'}; "
                f"the model has {', '.join(batch.feeds)}"
            )
        changed = {name: self._array(feeds[name], name, batch) for name in batch.feeds}
        return Batch(changed, self._labels(labels, batch))

    def _array(self, value: object, name: str, batch: Batch) -> Array:
        where, before = f"augmentation {self.spec}: input {name!r}", batch.feeds[name]
        array = to_array(value, where)
        fits = array.ndim == before.ndim and array.shape[:1] == before.shape[:1]
        if not fits or not np.can_cast(array.dtype, before.dtype, "same_kind"):
            raise DataError(f"{where} is {described(array)} where {described(before)} is wanted")
        # Arithmetic with float64 numbers is easily done, and meant to stay float32.
        array = np.ascontiguousarray(array, before.dtype)
        check_finite(array, where)
        return array

    def _labels(self, value: object, batch: Batch) -> Array | None:
        if value is None and batch.labels is None:
            return None
        where = f"augmentation {self.spec}: labels"
        labels = None if value is None else to_array(value, where)
        if labels is None or labels.shape[:1] != (batch.size,):
            have = "None" if labels is None else described(labels)
            raise DataError(f"{where} are {have}, and the batch has {batch.size} samples")
        return labels
