"""What a model is timed on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from onnxpress.data.signature import Signature
from onnxpress.errors import DataError

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
    """Return random arrays for every input; an open first axis gets `batch` samples."""
    from onnxpress.data.random import random_feeds

    signature = Signature.of(model)
    firsts = {i.shape[0] for i in signature.inputs if i.shape} if signature.batched else set()
    sizes = {dim: batch for dim in firsts if isinstance(dim, str)}
    feeds = random_feeds(model, dims={**sizes, **dims}, seed=seed)
    if None in firsts and batch > 1:
        return {name: np.concatenate([array] * batch) for name, array in feeds.items()}
    return dict(feeds)


def _check_names(model: Model, feeds: Feeds) -> None:
    wanted = Signature.of(model).names
    if missing := [name for name in wanted if name not in feeds]:
        raise DataError(
            f"the data, opened for the first model, does not feed the input {missing[0]!r} "
            f"(it feeds {', '.join(map(repr, feeds))})"
        )
