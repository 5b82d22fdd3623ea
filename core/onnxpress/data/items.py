"""One item of somebody's iterable, as numpy arrays by input name.

Frameworks are met by what their objects can do (``numpy()``, ``__array__``); none is
imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnxpress.data.batch import Array, Batch
from onnxpress.data.match import Matching, match
from onnxpress.data.signature import Input, Signature
from onnxpress.errors import DataError, UsageError


def to_array(value: object, where: str) -> Array:
    """Return `value` as a numpy array: a tensor of any framework, a list, a number.

    Raises:
        DataError: If it can't be one, or would be an array of Python objects.
    """
    try:
        array = np.asarray(_on_host(value))
    except Exception as error:  # a foreign object may raise anything
        raise DataError(f"{where} can't be read as an array: {error}") from error
    if array.dtype.hasobject:
        raise DataError(f"{where} is no array of numbers but {type(value).__name__}")
    return array


def _on_host(value: Any) -> Any:
    # A torch tensor that needs gradients, or lies on a device, refuses `__array__`.
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
    return value.numpy() if callable(getattr(value, "numpy", None)) else value


def is_array_like(value: object) -> bool:
    """Say whether `value` is an array or tensor, not a list of them."""
    return hasattr(value, "__array__") or (hasattr(value, "numpy") and hasattr(value, "shape"))


class Reader:
    """Reads items: dicts by input name, tuples ``(inputs…, labels)``, or arrays.

    Args:
        signature: What the model wants.
        asked: Array names by input name, for items that are dicts.
        source: What errors call the data.
    """

    def __init__(self, signature: Signature, asked: Mapping[str, str], source: str) -> None:
        self._signature = signature
        self._asked = asked
        self._source = source
        self._matching: Matching | None = None

    def read(self, item: object, index: int) -> Batch:
        """Return what an item holds; not prepared yet.

        Raises:
            DataError: If it does not hold what the model wants.
        """
        where = f"{self._source}, batch {index}"
        values, labels = self._split(item, where)
        feeds = {name: to_array(value, f"{where}: {name!r}") for name, value in values.items()}
        targets = None if labels is None else to_array(labels, f"{where}: labels")
        alone = targets is not None and not targets.ndim
        batched = {
            i.name: _with_batch_axis(i, feeds[i.name], alone=alone)
            if self._signature.batched
            else feeds[i.name]
            for i in self._signature.inputs
        }
        return Batch(batched, None if targets is None else np.atleast_1d(targets))

    def _split(self, item: object, where: str) -> tuple[Mapping[str, object], object]:
        if isinstance(item, Mapping):
            return self._from_mapping(item, where)
        if isinstance(item, tuple | list):
            return self._from_sequence(item, where)
        return self._from_values([item], where), None

    def _from_mapping(
        self, item: Mapping[str, object], where: str
    ) -> tuple[Mapping[str, object], object]:
        matching = self._matching
        if matching is None or not {*matching.inputs.values()} <= item.keys():
            arrays = {str(key): to_array(value, f"{where}: {key!r}") for key, value in item.items()}
            matching = self._matching = match(arrays, self._signature.inputs, self._asked, where)
        labels = None if matching.labels is None else item.get(matching.labels)
        return {name: item[key] for name, key in matching.inputs.items()}, labels

    def _from_sequence(
        self, item: Sequence[object], where: str
    ) -> tuple[Mapping[str, object], object]:
        count = len(self._signature.inputs)
        if len(item) == 2 and isinstance(item[0], Mapping):  # noqa: PLR2004  (inputs, labels)
            return self._from_mapping(item[0], where)[0], item[1]
        if self._asked:
            raise UsageError(
                f"{where} is a {type(item).__name__}, so its arrays have no names to ask for"
            )
        if count > 1 and len(item) == 2 and isinstance(item[0], tuple | list):  # noqa: PLR2004
            return self._from_values(item[0], where), item[1]
        if len(item) == count + 1:
            return self._from_values(item[:-1], where), item[-1]
        return self._from_values(item, where), None

    def _from_values(self, values: Sequence[object], where: str) -> Mapping[str, object]:
        names = self._signature.names
        if len(values) != len(names):
            raise DataError(
                f"{where} has {len(values)} arrays, and the model has {len(names)} inputs "
                f"({', '.join(names)}); give a dict by name, a tuple of the inputs, or one of the "
                "inputs and the labels"
            )
        return dict(zip(names, values, strict=True))


def _with_batch_axis(wanted: Input, array: Array, *, alone: bool) -> Array:
    """Make a batch of one out of a single sample: one axis short, and `alone` or fitting so."""
    if wanted.shape is None or array.ndim != len(wanted.shape) - 1:
        return array
    return array[None] if alone or wanted.misfit((1, *array.shape)) in {None, 0} else array
