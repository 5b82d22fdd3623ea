"""Going on from a checkpoint: which one belongs to a fit, and when the next is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from onnxpress.training.checkpoint import (
    Checkpoint,
    Position,
    check_place,
    read_checkpoint,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnxpress.contract import Objective
    from onnxpress.data.batch import Array, Batch, Data
    from onnxpress.graph.model import Model
    from onnxpress.training.options import Training
    from onnxpress.training.running import Runner

_VOLATILE: Final = frozenset({"checkpoint", "checkpoint_every", "threads", "provider"})
"""Options that another run may change and still go on from a checkpoint."""


@dataclass(frozen=True)
class Identity:
    """All that a fit depends on; a checkpoint is taken up only by a fit with the same.

    Attributes:
        model: What is trained.
        data: What it is trained on.
        first: The first batch of it.
        options: How it is trained.
        objectives: What is minimised.
        seed: Where all chance comes from.
        pruning: How masks change, as text; empty without masks.
    """

    model: Model
    data: Data
    first: Batch
    options: Training
    objectives: Sequence[Objective]
    seed: int
    pruning: str = ""

    @cached_property
    def text(self) -> dict[str, str]:
        """What identifies each of them, in words for a user, or as a hash."""
        asked = self.options.model_dump(mode="json", exclude=set(_VOLATILE), fallback=str)
        objectives = [{"use": o.name, **o.model_dump(mode="json")} for o in self.objectives]
        return {
            "model": _hash_of_model(self.model),
            "objective": json.dumps(objectives),
            "seed": str(self.seed),
            **({"pruning": self.pruning} if self.pruning else {}),
            **{key: json.dumps(value) for key, value in asked.items()},
            # Last, because the first batch depends on seed and options as well.
            "data": f"{self.data.name} ({self.data.samples} samples, {_hash_of_batch(self.first)})",
        }


class Resuming:
    """The checkpoint of one fit; without a path nothing is read or written.

    Args:
        identity: What the fit depends on.
        runner: What holds the state.
    """

    def __init__(self, identity: Identity, runner: Runner) -> None:
        self._identity = identity
        self._runner = runner
        self._path = identity.options.checkpoint
        self._every = identity.options.checkpoint_every
        self._written = 0  # after how many updates the last one was

    def restore(self) -> tuple[Position, Mapping[str, Array]]:
        """Return how far the fit has come, and its best state; bring the runner to it.

        Raises:
            UsageError: If there is a file, and it is no checkpoint of this fit, or if none
                could be written there.
        """
        if self._path is None:
            return Position(), {}
        check_place(self._path)
        slots = {name: _kind(array) for name, array in self._runner.state().items()}
        found = read_checkpoint(self._path, self._identity.text, slots)
        if found is None:
            return Position(), {}
        self._runner.restore(found.state)
        self._written = found.position.updates
        return found.position, found.best

    def after_batch(self, position: Position, best: Mapping[str, Array]) -> None:
        """Write one if there have been enough updates since the last."""
        if self._every is not None and position.updates - self._written >= self._every:
            self.save(position, best)

    def save(self, position: Position, best: Mapping[str, Array]) -> None:
        """Write one.

        Raises:
            OnnxpressError: If it can't be written.
        """
        self._written = position.updates
        if self._path is not None:
            state = self._runner.state()
            Checkpoint(self._identity.text, position, state, best).save(self._path)


def _kind(array: Array) -> str:
    return f"{array.dtype} {array.shape}"


def _hash_of_model(model: Model) -> str:
    """Return a hash of operators, their attributes, and all that is stored."""
    found = hashlib.blake2b(digest_size=12)
    nodes = [*model.ir.graph, *(node for f in model.ir.functions.values() for node in f)]
    for node in nodes:
        found.update(ir.serde.serialize_node(node).SerializeToString(deterministic=True))
    for name, value in model.ir.graph.initializers.items():
        tensor = value.const_value
        assert tensor is not None  # initializers are stored
        found.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        found.update(np.ascontiguousarray(tensor.numpy()).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def _hash_of_batch(batch: Batch) -> str:
    found = hashlib.blake2b(digest_size=6)
    arrays = {**batch.feeds, "labels": np.empty(0) if batch.labels is None else batch.labels}
    for name, array in arrays.items():
        found.update(f"{name} {_kind(array)}".encode())
        raw = array.tolist() if array.dtype.kind == "O" else array
        found.update(repr(raw).encode() if raw is not array else np.ascontiguousarray(array).data)
    return found.hexdigest()
