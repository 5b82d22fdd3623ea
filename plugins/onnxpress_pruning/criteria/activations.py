"""Criteria from what flows through a model: wanda, activation-mean, apoz."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, TypeAlias, final

import numpy as np
import onnx_ir as ir

from onnxpress.errors import DataError
from onnxpress_pruning.criteria.criterion import (
    ChannelScores,
    Criterion,
    ElementScores,
    Scores,
    Subject,
)
from onnxpress_pruning.criteria.slices import added, by_member, normalized
from onnxpress_pruning.criteria.weights import floats

if TYPE_CHECKING:
    from onnxpress.channels import Group, Member
    from onnxpress.graph.edit import Editor
    from onnxpress.graph.layers import Layer
    from onnxpress.graph.model import Model
    from onnxpress.graph.weights import Weight

Measure: TypeAlias = "Callable[[Editor, ir.Value], ir.Value]"


class OfProducts(Criterion, ABC):
    """A criterion of the weights of layers that are products of matrices.

    Those are Conv, ConvTranspose, Gemm and MatMul.  A channel scores as by default, by those
    of its slices that are such weights.
    """

    needs: ClassVar = "data"

    def refusal(self, model: Model, layer: Layer, weight: Weight) -> str | None:
        from onnxpress_pruning.reconstruction.product import find_product

        if weight is not layer.weight:
            return f"{weight.name} is a {weight.role}, and multiplies no input of the layer"
        product = find_product(layer, model.ir.graph)
        return product if isinstance(product, str) else None

    def channels(self, subject: Subject, groups: Sequence[Group]) -> ChannelScores:
        used = {member.tensor for group in groups for member in group.members}
        weights = {
            layer.weight.name: layer.weight
            for layer in subject.model.layers
            if layer.weight.name in used
            and self.refusal(subject.model, layer, layer.weight) is None
        }
        scored = self.elements(replace(subject, targets=tuple(weights.values())))

        def scores(group: Group) -> Scores:
            local = by_member(group, weights, lambda w, m: added(scored(w), m, group.size))
            return normalized(np.mean(local, axis=0) if local else np.ones(group.size))

        return scores


@final
class Wanda(OfProducts):
    """``|W_ij| · ‖X_j‖₂``: a weight times the norm of what it is multiplied with (Sun et al. 2024).

    Equation 1, compared within each output as published.  j is an input channel, of a
    convolution an input channel at one position of the kernel; the norm is over all samples and
    all places of the output.  Weights of Conv, ConvTranspose, Gemm and MatMul; of a tensor that
    several layers read, the squares of the norms are added.
    """

    name: ClassVar[str] = "wanda"
    within: ClassVar = "output"

    def elements(self, subject: Subject) -> ElementScores:
        squares = _input_squares(subject)
        return lambda weight: np.abs(floats(weight)) * np.sqrt(squares[weight.name])


def _input_squares(subject: Subject) -> Mapping[str, Scores]:
    """Return Σ x² of what each weight is multiplied with, by tensor, in its shape."""
    from onnxpress_pruning.reconstruction.features import features_of
    from onnxpress_pruning.reconstruction.watching import watched

    found: dict[str, Scores] = {}
    for product, arrays in watched(subject, "criterion=wanda"):
        cut = features_of(product, subject.model.opset)
        groups, rows, columns = product.places.shape
        sums = np.zeros((groups, 1, columns))
        for array in arrays:
            for part in cut(array):
                sums += np.einsum("gcs,gcs->gc", part, part, dtype=np.float64)[:, None]
        weight = product.weight
        whole = np.broadcast_to(sums, (groups, rows, columns))
        spread = product.stored(whole, np.zeros(weight.shape))
        found[weight.name] = found[weight.name] + spread if weight.name in found else spread
    return found


class Activity(Criterion, ABC):
    """A criterion that ranks channels by their activations where layers read them.

    Those are what the channels give after normalisation and activation function; channels that
    no layer reads are ranked by all tensors in which they lie.
    """

    needs: ClassVar = "data"

    def channels(self, subject: Subject, groups: Sequence[Group]) -> ChannelScores:
        read = {group.name: read_activations(subject.model, group) for group in groups}
        wanted = [member for members in read.values() for member in members]
        means = channel_means(subject, wanted, self.measure, f"criterion={self.name}")

        def scores(group: Group) -> Scores:
            return self.joined([_by_channel(means[_key(m)], m, group) for m in read[group.name]])

        return scores

    @abstractmethod
    def measure(self, edit: Editor, value: ir.Value) -> ir.Value:
        """Emit what is averaged over samples and places."""

    @abstractmethod
    def joined(self, local: Sequence[Scores]) -> Scores:
        """Make one score for each channel from those of all tensors."""


@final
class ActivationMean(Activity):
    """The mean of ``|a|`` over samples and places (Minitron; Distiller's mean rank after a ReLU).

    Of several tensors, the mean of what each gives, divided by its mean over the channels, so
    that groups can be ranked together.
    """

    name: ClassVar[str] = "activation-mean"

    def measure(self, edit: Editor, value: ir.Value) -> ir.Value:
        return append(edit, "Abs", value)

    def joined(self, local: Sequence[Scores]) -> Scores:
        return normalized(np.mean([normalized(scores) for scores in local], axis=0))


@final
class Apoz(Activity):
    """The share of activations that are not zero: 1 - APoZ (Hu et al. 2016, eq. 1).

    Channels with the most zeros go first.  It needs an activation function that gives zeros,
    such as ReLU.  Of several tensors, the mean.
    """

    name: ClassVar[str] = "apoz"

    def measure(self, edit: Editor, value: ir.Value) -> ir.Value:
        return append(edit, "Abs", append(edit, "Sign", value))

    def joined(self, local: Sequence[Scores]) -> Scores:
        return np.asarray(np.mean(local, axis=0))


def read_activations(model: Model, group: Group) -> tuple[Member, ...]:
    """Return those activations of a group that a layer with weights of the group reads."""
    readers = {member.layer for member in group.members if member.side == "input"}
    nodes = [layer.node for layer in model.layers if layer.name in readers]
    fed = {value.name for node in nodes for value in node.inputs if value is not None}
    return tuple(m for m in group.activations if m.tensor in fed) or group.activations


def channel_means(
    subject: Subject, members: Sequence[Member], measure: Measure, step: str
) -> Mapping[tuple[str, int], Scores]:
    """Return the mean at each position of an axis, by tensor and axis; goes through data once.

    Only the means leave ONNX Runtime.

    Args:
        subject: The model and the data.
        members: Which tensors and axes.
        measure: Emits what is averaged.
        step: What needs the data, for errors.

    Raises:
        UsageError: If there is no data.
        DataError: If there are no samples, or a mean is NaN or infinite.
    """
    from onnxpress.session import Session

    data = subject.job.require_data(step)
    model, outputs = _averaging(subject.model, members, measure)
    session = Session(model)
    sums = {key: np.zeros(0) for key in outputs}
    samples = 0
    for batch in subject.job.track(data, "calibrating"):
        found = session.run(batch.feeds)
        for key, output in outputs.items():
            mean = found[output].astype(np.float64) * batch.size
            sums[key] = sums[key] + mean if sums[key].size else mean
        samples += batch.size
    if not samples:
        raise DataError(f"there is nothing to calibrate on: {data.name} holds no samples")
    for (name, _), total in sums.items():
        if not np.isfinite(total).all():
            raise DataError(f"the tensor {name!r} holds NaN or infinite values on {data.name}")
    return {key: total / samples for key, total in sums.items()}


def _averaging(
    model: Model, members: Sequence[Member], measure: Measure
) -> tuple[Model, dict[tuple[str, int], str]]:
    """Return a model that gives means, and which output is of which tensor and axis."""
    edit = model.edit()
    edit.graph.outputs.clear()
    outputs: dict[tuple[str, int], str] = {}
    for member in members:
        if _key(member) in outputs:
            continue
        shape = model.types[member.tensor].shape
        axes = [axis for axis in range(len(shape or ())) if axis != member.axis]
        value = append(edit, "Cast", edit.values[member.tensor], to=int(ir.DataType.FLOAT))
        measured = measure(edit, value)
        mean = append(
            edit, "ReduceMean", measured, edit.constant(np.array(axes), "axes"), keepdims=0
        )
        mean.type = ir.TensorType(ir.DataType.FLOAT)
        edit.graph.outputs.append(mean)
        outputs[_key(member)] = mean.name or ""
    return edit.done(), outputs


def append(edit: Editor, op_type: str, *inputs: ir.Value, **attributes: int) -> ir.Value:
    """Add a node to the end of the graph, and return its output."""
    node = edit.node(op_type, inputs, f"{inputs[0].name}:{op_type}", attributes)
    edit.graph.append(node)
    return node.outputs[0]


def _key(member: Member) -> tuple[str, int]:
    return member.tensor, member.axis


def _by_channel(means: Scores, member: Member, group: Group) -> Scores:
    """Return the mean over all positions of each channel."""
    mine = member.channel >= 0
    sums = np.bincount(member.channel[mine], means[mine], minlength=group.size)
    counts = np.bincount(member.channel[mine], minlength=group.size)
    return np.asarray(sums / np.maximum(counts, 1))
