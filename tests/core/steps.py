"""Small steps, a model and data to run them on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field

import onnxpress_onnx
from onnxpress import Job, Model, Plugins, Transform
from tests.fakes import offering
from tests.graphs import graph, normal


class Dampen(Transform):
    """Multiply weights by a number.

    All of a layer's weights are meant.
    """

    name: ClassVar[str] = "dampen"
    by: float = Field(default=0.5, ge=0, lt=1, description="The number [a factor].")
    mode: Literal["all", "first"] = Field(default="all", description="Which layers.")
    bits: Literal[4, 8] = 8
    layers: tuple[str, ...] = Field(default=(), description="Only these.")
    only_large: bool = False
    label: str | None = None

    def apply(self, model: Model, job: Job) -> Model:
        edit = model.edit()
        for layer in job.track(edit.layers, "dampening", len(edit.layers)):
            edit.set_weight(layer.weight, layer.weight.array() * np.float32(self.by))
            job.change(layer.name, by=np.float32(self.by), shape=layer.weight.shape)
        return edit.done()


class Learn(Transform):
    """Go through the data."""

    name: ClassVar[str] = "learn"

    def apply(self, model: Model, job: Job) -> Model:
        seen = sum(batch.size for batch in job.require_data(self.name))
        job.change("all", seen=seen)
        return model


class Draw(Transform):
    """Add random noise."""

    name: ClassVar[str] = "draw"

    def apply(self, model: Model, job: Job) -> Model:
        edit = model.edit()
        noise = np.random.default_rng(job.seed).standard_normal
        for layer in edit.layers:
            array = layer.weight.array()
            edit.set_weight(layer.weight, array + noise(array.shape).astype(array.dtype))
            job.change(layer.name)
        return edit.done()


class Refuse(Transform):
    """Decline everything."""

    name: ClassVar[str] = "refuse"

    def apply(self, model: Model, job: Job) -> Model:
        for i in range(100):
            job.decline(f"layer{i}", f"layer{i} is too small")
        return model


class Break(Transform):
    """Raise what no step should."""

    name: ClassVar[str] = "break"

    def apply(self, model: Model, job: Job) -> Model:
        raise ZeroDivisionError("by nothing")


class Spoil(Transform):
    """Make something that is no longer the same kind of model."""

    name: ClassVar[str] = "spoil"
    how: Literal["rename", "invalid"] = "rename"

    def apply(self, model: Model, job: Job) -> Model:
        edit = model.edit()
        if self.how == "rename":
            edit.graph.outputs[0].name = "z"
        else:
            edit.graph.node(0).op_type = "NoSuchOperator"
        return edit.done()


class Schedule(BaseModel):
    """A table of options inside another."""

    max_epochs: int = Field(default=1, ge=1)


class Train(Transform):
    """Do nothing, with a schedule."""

    name: ClassVar[str] = "train"
    schedule: Schedule | None = None

    def apply(self, model: Model, job: Job) -> Model:
        return model


def plugins() -> Plugins:
    made = Plugins()
    made.add("onnx", onnxpress_onnx)
    made.add("fake", offering(Dampen, Learn, Draw, Refuse, Break, Spoil, Train))
    return made


def model() -> Model:
    """Classify 4 features into 3 classes: y = x W."""
    return graph("g (float[N,4] x) => (float[N,3] y) { y = MatMul(x, w) }", w=normal(4, 3))


def arrays(count: int = 64, seed: int = 1) -> dict[str, Any]:
    """Return samples, and as labels what the model says of them."""
    x = normal(count, 4, seed=seed)
    return {"x": x, "labels": (x @ normal(4, 3)).argmax(axis=1)}


def saved(folder: Path) -> tuple[Path, Path]:
    """Write model and data; return where."""
    model().save(folder / "model.onnx")
    np.savez(folder / "data.npz", **arrays())
    return folder / "model.onnx", folder / "data.npz"
