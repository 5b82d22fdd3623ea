"""A small plugin of every kind, for tests of the host and of what stands on it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import onnx_ir as ir
from pydantic import Field

from onnxpress import Importer, Job, Model, Plugins, Rule, Runtime, Transform, hookimpl
from onnxpress.contract import Availability, Executable, Objective
from onnxpress.installed import Entry, Origin


class Shout(Transform):
    """Name the graph loudly."""

    name: ClassVar[str] = "shout"
    times: int = Field(default=1, ge=1)

    def apply(self, model: Model, job: Job) -> Model:
        edit = model.edit()
        edit.graph.name = f"{edit.graph.name}{'!' * self.times}"
        return edit.done()


class Whisper(Shout):
    """Do the opposite."""

    name: ClassVar[str] = "whisper"


class Nothing(Objective):
    """Want nothing."""

    name: ClassVar[str] = "nothing"
    scale: float = Field(default=1.0, gt=0)

    def build(self, goal: Any) -> Any:
        return goal.op.constant(0.0)


class Nowhere(Runtime):
    name: ClassVar[str] = "nowhere"

    @classmethod
    def probe(cls) -> Availability:
        return Availability(usable=False, reason="it does not exist")

    def prepare(self, path: object, threads: int) -> Executable:
        raise NotImplementedError


class Anything(Importer):
    name: ClassVar[str] = "anything"

    def accepts(self, source: object) -> bool:
        return source == "anything"

    def load(self, source: object, example_inputs: Any = None) -> Model:
        return model()


RULE = Rule("cost", "Rotary", lambda: 1, domain="com.acme")


def model() -> Model:
    x = ir.Value(name="x", shape=ir.Shape([2]), type=ir.TensorType(ir.DataType.FLOAT))
    node = ir.node("Relu", [x], name="relu")
    node.outputs[0].name = "y"
    node.outputs[0].shape, node.outputs[0].type = x.shape, x.type
    graph = ir.Graph([x], node.outputs, nodes=[node], opset_imports={"": 21}, name="g")
    return Model(ir.Model(graph, ir_version=10))


def offering(*transforms: object, **more: object) -> SimpleNamespace:
    """Make a plugin that offers transforms and whatever else is given as hook=answer."""
    answers: dict[str, object] = {"transforms": list(transforms), **more}
    return SimpleNamespace(
        **{f"onnxpress_{hook}": hookimpl(_returning(answer)) for hook, answer in answers.items()}
    )


def _returning(answer: object) -> Callable[[], object]:
    return lambda: answer


def installed(
    plugins: Plugins, name: str, plugin: object, distribution: str = "acme-tools"
) -> None:
    """Add a plugin as if it had been found installed."""
    plugins.load(Entry(Origin(name, distribution, "1.0", name), lambda: plugin))
