"""``onnx``: a loss of the user's own, as an ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from pydantic import Field

from onnxpress.contract import Objective
from onnxpress.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    import onnx_ir as ir

    from onnxpress.autodiff.builder import Builder
    from onnxpress.autodiff.tensor import Tensor
    from onnxpress.training.goal import Goal


@final
class OnnxObjective(Objective):
    """A loss computed by an ONNX model: its nodes become part of the training graph.

    Each input of that model is fed the tensor of the same name in the model that is trained,
    an output or any other; the input ``labels`` is fed the labels.  Its only output is the
    loss, a single number.
    """

    name: ClassVar[str] = "onnx"

    file: Path = Field(description="the .onnx file")
    inputs: Mapping[str, str] = Field(
        default_factory=dict,
        description="tensors for inputs of other names: {INPUT=TENSOR,…}; labels stands for labels",
    )

    def build(self, goal: Goal) -> Tensor:
        loss = self._load()
        _check_opsets(loss, goal.op, str(self.file))
        result = self._only_output(loss)
        given = {v: self._given(v, goal) for v in loss.graph.inputs if not v.is_initializer()}
        for name in self.inputs:
            if name not in {value.name for value in given}:
                known = [value.name or "" for value in given]
                raise UnknownNameError(f"input of {self.file}", name, known)
        return _scalar(_move(loss, result, given, goal.op), str(self.file))

    def _load(self) -> ir.Model:
        """Return the graph of the file, for us to take apart: no functions, all types noted."""
        from onnx_ir.passes.common import InlinePass

        from onnxpress.autodiff.prepare import annotate
        from onnxpress.graph.model import Model

        loss = Model.load(self.file).ir
        if loss.functions:
            InlinePass()(loss)
        annotate(loss)
        return loss

    def _only_output(self, loss: ir.Model) -> ir.Value:
        if len(loss.graph.outputs) != 1:
            names = ", ".join(value.name or "" for value in loss.graph.outputs)
            raise UsageError(
                f"{self.file} has {len(loss.graph.outputs)} outputs ({names}); the model of a loss "
                "has one"
            )
        return loss.graph.outputs[0]

    def _given(self, value: ir.Value, goal: Goal) -> Tensor:
        """Return what an input of the loss is fed: of its type if both are numbers."""
        from onnxpress.training.goal import LABELS

        name = self.inputs.get(value.name or "", value.name or "")
        if name == LABELS:
            return goal.need_labels(f"{self.name} ({self.file})").cast(value.dtype)
        if name not in goal.values:
            raise UnknownNameError(
                "tensor",
                name,
                [*goal.values, LABELS],
                [f"input {value.name!r} of {self.file} is fed the tensor of its name, or inputs=…"],
            )
        return goal.tensor(name).cast(value.dtype)


def _check_opsets(loss: ir.Model, op: Builder, file: str) -> None:
    """Let the training graph know the operator sets of the loss.

    Raises:
        UsageError: If the loss needs a newer one than the model.
    """
    versions = op.root.graph.opset_imports
    for domain, version in loss.opset_imports.items():
        own = versions.setdefault(domain, version)
        if version > own:
            raise UsageError(
                f"{file} is made for opset {version} of {domain or 'ai.onnx'}, and the model that "
                f"is trained for opset {own}; export the loss for opset {own}"
            )


def _move(
    loss: ir.Model, result: ir.Value, given: Mapping[ir.Value, Tensor], op: Builder
) -> Tensor:
    """Move all nodes and stored tensors of `loss`, which is used up, to the graph of a builder."""
    _rename(loss, op)
    graph = loss.graph
    graph.outputs.clear()
    if result in given:
        return given[result]
    for value, tensor in given.items():
        value.replace_all_uses_with(tensor.value)
    graph.inputs.clear()
    for value in list(graph.initializers.values()):
        graph.initializers.pop(value.name or "")
        op.root.graph.register_initializer(value)
    nodes = list(graph)
    graph.remove(nodes)
    op.graph.extend(nodes)
    return op.tensor(result)


def _rename(loss: ir.Model, op: Builder) -> None:
    """Give every value and node of `loss` a name that the training graph does not have."""
    for graph in loss.graphs():
        for node in graph:
            node.name = op.name(f"loss.{node.name or node.op_type}")
            for value in node.outputs:
                if value.name:
                    value.name = op.name(f"loss.{value.name}")
        inner = [] if graph is loss.graph else list(graph.inputs)
        for value in [*graph.initializers.values(), *inner]:
            value.name = op.name(f"loss.{value.name}")


def _scalar(loss: Tensor, file: str) -> Tensor:
    """Return the loss as a float without axes.

    Raises:
        UsageError: If it is no single float.
    """
    if loss.dtype is not None and not loss.dtype.is_floating_point():
        raise UsageError(f"the output of {file} is no float, so there is nothing to descend")
    if loss.shape is not None and any(dim != 1 for dim in loss.shape):
        raise UsageError(
            f"the output of {file} has shape {list(loss.shape)}; a loss is one number: add a "
            "ReduceMean or ReduceSum"
        )
    return loss if loss.rank == 0 else loss.reshape()
