"""`Net`: an entry of the zoo."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from onnxpress.data.batch import Array

Exporter = Literal["torchscript", "dynamo"]

BOTH: Final[tuple[Exporter, ...]] = ("torchscript", "dynamo")


@dataclass(frozen=True)
class Fed:
    """An input: its shape, with the batch of the export, and what it holds.

    Attributes:
        shape: At export.
        below: Integers up to, not with, this; 0 for standard normal floats.
        start: The least integer.
        axes: The names of the axes that stay free.
    """

    shape: tuple[int, ...]
    below: int = 0
    start: int = 0
    axes: Mapping[int, str] = field(default_factory=lambda: {0: "batch"})

    def array(self, batch: int, seed: int) -> Array:
        """Return values for `batch` samples; the export's own number where the axis is fixed."""
        rng = np.random.default_rng(seed)
        free = self.axes.get(0) == "batch"
        shape = (batch, *self.shape[1:]) if free else self.shape
        if self.below:
            return rng.integers(self.start, self.below, shape)
        return rng.standard_normal(shape).astype(np.float32)


@dataclass(frozen=True)
class Net:
    """A network, what it is fed, and which exporters take it.

    Attributes:
        name: In kebab-case, as its family writes it.
        make: Makes the PyTorch module, in whatever mode, with whatever weights.
        inputs: By name, in the order of the module's arguments.
        exporters: Those that can export it; a comment where the entry stands says why not both.
        needs: The distributions that must be there.
    """

    name: str
    make: Callable[[], Any]
    inputs: Mapping[str, Fed]
    exporters: tuple[Exporter, ...] = BOTH
    needs: tuple[str, ...] = ()

    def feeds(self, batch: int = 2, seed: int = 0) -> dict[str, Array]:
        """Return inputs for `batch` samples; same seed, same arrays."""
        return {
            name: fed.array(batch, seed + number)
            for number, (name, fed) in enumerate(self.inputs.items())
        }


def image(size: int = 64, channels: int = 3) -> dict[str, Fed]:
    """Return the input of a network for square images."""
    return {"pixels": Fed((2, channels, size, size))}


def called(place: str, *given: Any, **options: Any) -> Callable[[], Any]:
    """Return what calls ``module:name`` with the arguments; it is imported only then."""

    def make() -> Any:
        module, _, name = place.partition(":")
        return getattr(importlib.import_module(module), name)(*given, **options)

    return make
