"""`Goal`: what an objective sees of the model that is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import onnx_ir as ir

from onnxpress.autodiff.builder import Builder
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import UnknownNameError, UsageError
from onnxpress.graph.constants import STANDARD
from onnxpress.graph.layers import Layer
from onnxpress.graph.types import Dim

LABELS: Final = "labels"
"""The input of the training graph that takes the labels, as `Objective.read_labels` left them."""

SOFTMAXES: Final = frozenset({"Softmax", "LogSoftmax"})
_LOOKED_THROUGH: Final = frozenset({"Identity", "Flatten", "Squeeze", "Unsqueeze", "Reshape"})


@dataclass(frozen=True, slots=True)
class LabelGoal:
    """What labels are compared with.

    Attributes:
        name: The name of the tensor.
        shape: Its shape as far as it is known.
        floating: Whether the labels of the first batch were floats: probabilities or values.
    """

    name: str
    shape: tuple[Dim, ...] | None
    floating: bool


@dataclass(frozen=True)
class Goal:
    """The tensors of a model, its labels, and a builder for the nodes of a loss.

    Attributes:
        op: Adds nodes to the training graph.
        outputs: The model's outputs, by name, in order.
        values: Every tensor of the main graph, by name.
        parameters: The parameters that are trained, by name.
        layers: The layers of the model; penalties choose among them.
        labels: The labels as a tensor of the training graph; None if the data has none.
            Of the type that `Objective.read_labels` gave for the first batch.
    """

    op: Builder
    outputs: Mapping[str, ir.Value]
    values: Mapping[str, ir.Value]
    parameters: Mapping[str, Tensor]
    layers: tuple[Layer, ...]
    labels: Tensor | None = None

    def tensor(self, name: str | None = None) -> Tensor:
        """Return an output or an inner tensor by name, by default the only output.

        Raises:
            UnknownNameError: If there is no such tensor.
            UsageError: If none is named and the model has several outputs.
        """
        if name is None and len(self.outputs) != 1:
            raise UsageError(
                f"the model has {len(self.outputs)} outputs ({', '.join(self.outputs)}); say which "
                "one the objective is for, with output=…"
            )
        wanted = next(iter(self.outputs)) if name is None else name
        if wanted not in self.values:
            raise UnknownNameError("tensor", wanted, self.values)
        return self.op.tensor(self.values[wanted])

    def logits(self, name: str | None = None, ends: frozenset[str] = SOFTMAXES) -> Tensor:
        """Return scores before Softmax: if the tensor comes from one of `ends`, what that reads.

        Nodes that only reshape or rename in between are looked through.
        """
        tensor = self.tensor(name)
        node = tensor.value.producer()
        while node is not None and node.op_type in _LOOKED_THROUGH and node.domain in STANDARD:
            inner = node.inputs[0]
            node = None if inner is None else inner.producer()
        if node is None or node.op_type not in ends or node.domain not in STANDARD:
            return tensor
        scores = node.inputs[0]
        assert scores is not None
        return self.op.tensor(scores)

    def need_labels(self, objective: str) -> Tensor:
        """Return the labels.

        Raises:
            UsageError: If the data has none.
        """
        if self.labels is None:
            raise UsageError(
                f"{objective} needs labels, and the training data has none; name the array with "
                "labels=… in --data"
            )
        return self.labels
