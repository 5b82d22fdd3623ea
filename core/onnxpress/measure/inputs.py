"""What a model is timed on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from onnxpress.data.random import random_feeds, runnable_feeds
from onnxpress.data.signature import Signature
from onnxpress.errors import DataError, ModelError

if TYPE_CHECKING:
    from onnxpress.data.batch import Array, Data, Feeds
    from onnxpress.graph.model import Model


def samples_per_run(model: Model, batch: int) -> int:
    """Return how many samples one run takes: what the model fixes, else `batch`; 1 if unclear."""
    signature = Signature.of(model)
    return (signature.fixed or batch) if signature.batched else 1


def first_samples(model: Model, data: Data, batch: int) -> dict[str, Array]:
    """Return the first samples of the data, again from the front if there are too few.

    Raises:
        DataError: If the data feeds other inputs than the model has, or is empty.
    """
    first = next(iter(data), None)
    if first is None:
        raise DataError(f"{data.name} is empty")
    _check_names(model, first.feeds)
    if not Signature.of(model).batched:
        return first.feeds
    wanted = np.arange(samples_per_run(model, batch)) % first.size
    return {name: array[wanted] for name, array in first.feeds.items()}


def random_samples(
    model: Model, batch: int, dims: Mapping[str, int], seed: int
) -> dict[str, Array]:
    """Return random arrays for every input.

    Sizes that the model leaves open, but for the batch, are looked for until it runs in
    ONNX Runtime; if it runs with none, the likeliest are taken, and the runtime says more.

    Raises:
        ModelError: If an input's rank or type is unknown.
    """
    if _has_open_sizes(model):
        with suppress(ModelError):
            return runnable_feeds(model, batch, dims, seed)
    return random_feeds(model, batch, dims, seed)


def _has_open_sizes(model: Model) -> bool:
    shapes = [i.shape or () for i in Signature.of(model).inputs]
    return any(not isinstance(size, int) for shape in shapes for size in shape[1:])


def _check_names(model: Model, feeds: Feeds) -> None:
    wanted = Signature.of(model).names
    if missing := [name for name in wanted if name not in feeds]:
        raise DataError(
            f"the data, opened for the first model, does not feed the input {missing[0]!r} "
            f"(it feeds {', '.join(map(repr, feeds))})"
        )
