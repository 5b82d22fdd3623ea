"""``taylor-activation``: what a whole feature map does to the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from pydantic import Field

from onnxpress.errors import UsageError
from onnxpress_pruning.criteria.criterion import ChannelScores, Criterion, Scores, Subject
from onnxpress_pruning.criteria.gradients import Mean
from onnxpress_pruning.criteria.passes import open_slope

if TYPE_CHECKING:
    from onnxpress.channels import Group, Member
    from onnxpress.data.batch import Array
    from onnxpress.graph.model import Model
    from onnxpress_pruning.criteria.passes import Slope


@final
class TaylorActivation(Criterion):
    """``|mean(a·∂L/∂a)|`` of each feature map, over samples and places (Molchanov et al. 2017).

    Divided by the l2 norm over the maps of the layer, as published: without that, layers can't
    be ranked together.  Of a group of channels that is taken at the last tensor in the graph on
    which they lie without others: behind normalisation, nonlinearity and residual sum.

    The paper averages over the places of a map, takes the absolute value, and then averages
    over samples (average=sample); implementations, and METHODS, average over both first
    (average=batch).
    """

    name: ClassVar[str] = "taylor-activation"
    needs: ClassVar = "labels"

    average: Literal["batch", "sample"] = Field(
        default="batch",
        description="batch: average over samples, then take the absolute value; sample: the "
        "other way round, as in the paper",
    )

    def channels(self, subject: Subject, groups: Sequence[Group]) -> ChannelScores:
        slope = open_slope(subject, self.name)
        chosen = {group.name: _last(group, subject, slope) for group in groups}
        names = list(dict.fromkeys(member.tensor for member in chosen.values()))
        model, of = _products(slope.gradient(names), list(chosen.values()))
        mean = Mean()
        for found in slope.run(model, list(of.values())):
            # The loss of a batch is a mean: that of one sample has `size` times the gradient.
            maps = {n: a.astype(np.float64) * found.size for n, a in found.arrays.items()}
            signless = np.abs if self.average == "sample" else np.asarray
            mean.add({n: signless(array).mean(axis=0) for n, array in maps.items()}, found.size)
        means = mean.arrays

        def channels(group: Group) -> Scores:
            member = chosen[group.name]
            return _of_group(means[of[member.tensor, member.axis]], member, group.size)

        return channels


def _products(model: Model, members: Sequence[Member]) -> tuple[Model, dict[tuple[str, int], str]]:
    """Add the mean of ``a·∂L/∂a`` over all axes but the first and that of the channels.

    Returns:
        The model, and its outputs by tensor and axis; their shape is (samples, positions).
    """
    from onnxpress.autodiff import gradient_name
    from onnxpress.autodiff.builder import Builder

    edit = model.edit()
    op = Builder(edit.graph, set(edit.values), prefix="a")
    found: dict[tuple[str, int], str] = {}
    for member in members:
        a, g = (op.tensor(edit.values[n]) for n in (member.tensor, gradient_name(member.tensor)))
        places = [axis for axis in range(1, a.rank or 0) if axis != member.axis]
        mean = op.reduce("ReduceMean", a * g, places, keepdims=False)
        found[member.tensor, member.axis] = mean.name
    edit.graph.outputs[:] = [edit.graph.outputs[0]]
    edit.graph.outputs.extend(
        value for node in edit.graph for value in node.outputs if value.name in {*found.values()}
    )
    return edit.done(), found


def _last(group: Group, subject: Subject, slope: Slope) -> Member:
    """Return the last activation of a group on which the loss depends."""
    unreached = set(slope.loss.unreached([m.tensor for m in group.activations], subject.job.rules))
    fitting = [m for m in group.activations if m.axis > 0 and m.tensor not in unreached]
    whole = [m for m in fitting if (m.channel >= 0).all()] or fitting
    if not whole:
        raise UsageError(
            f"criterion={slope.criterion}: the loss depends on no activation of the channels of "
            f"{group.name!r}; leave the layer out with exclude=…, or choose another criterion"
        )
    return whole[-1]


def _of_group(means: Array, member: Member, size: int) -> Scores:
    """Return one score per channel, of unit length over the group."""
    mine = member.channel >= 0
    scores = np.abs(np.bincount(member.channel[mine], means[mine], minlength=size))
    length = float(np.linalg.norm(scores))
    return scores / length if length else scores
