"""`find_channels`: what of a graph can be cut, and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import onnx_ir as ir

from onnxpress.channels.cut import Cut
from onnxpress.channels.flow import Choice, Choices, Flow
from onnxpress.channels.group import Group, Kept, Member, Side
from onnxpress.channels.labels import Flags, Ids, Solved
from onnxpress.channels.rules import CHANNEL_FLOW
from onnxpress.channels.settle import settle
from onnxpress.channels.site import Key, describe
from onnxpress.channels.sizes import Sizing
from onnxpress.errors import OptionError, UnknownNameError
from onnxpress.graph.constants import is_constant
from onnxpress.graph.layers import find_layers

if TYPE_CHECKING:
    from rich.console import RenderableType

    from onnxpress.graph.layers import Layer
    from onnxpress.graph.model import Model
    from onnxpress.rules import Rule

_MOST_ROUNDS: Final = 12


@dataclass(frozen=True)
class _Axis:
    """One axis of one tensor, with its numbers."""

    value: ir.Value
    key: Key
    axis: int
    ids: Ids


def find_channels(
    model: Model,
    *,
    split: Literal["channels", "heads"] = "channels",
    rules: Sequence[Rule] = (),
    cut_outputs: Collection[str] = (),
) -> Channels:
    """Find the channel groups of a model.

    An axis that a Reshape splits, as ``heads × dimensions`` or ``groups × channels``, can be cut
    in one of both ways: along the inner part (``channels``: the same dimensions of every head),
    or along the outer part (``heads``: whole heads).

    Args:
        model: Any model; it stays as it is.
        split: Which part of such an axis is cut, where both can be.
        rules: Rules of plugins for the table ``channel-flow``.
        cut_outputs: Names of outputs that may be cut too; by default outputs stay whole.

    Raises:
        UnknownNameError: If there is no such output.
    """
    names = {v.name for v in model.outputs}
    for name in cut_outputs:
        if name not in names:
            raise UnknownNameError("output", name, [n for n in names if n])
    settled, known = settle(model)
    table = CHANNEL_FLOW + rules
    choices: dict[Choice, int] = {}
    for _ in range(_MOST_ROUNDS):
        flow = Flow(
            settled.ir,
            known,
            table,
            heads_first=split == "heads",
            cut_outputs=cut_outputs,
            choices=choices,
        )
        solved = flow.labels.solve()
        moved = _next_choices(flow, solved, choices)
        if not moved:
            break
        choices.update(moved)
    return Channels(settled, flow, solved)


def _next_choices(flow: Flow, solved: Solved, choices: Choices) -> dict[Choice, int]:
    """Return the next way for choices that leave nothing to cut.

    Two choices may stand in each other's way, as two reshapes of a channel shuffle do: then only
    the later one moves.
    """
    blocked = {key: ids for key, (ids, _) in flow.taken.items() if not solved.free(ids).any()}
    stuck = {key for key in blocked if choices.get(key, 0) + 1 >= flow.taken[key][1]}
    waited_for = {number for number, _ in blocked.keys() - stuck}
    return {
        key: choices.get(key, 0) + 1
        for key, ids in blocked.items()
        if key not in stuck and not any(n > key[0] and n in waited_for for n in solved.origins(ids))
    }


class Channels:
    """The channel groups of one model.

    Attributes:
        model: The model, with shapes written out that its file leaves to be computed.
        groups: What can be cut, in graph order.
        kept: What can't be, with reasons.
        notes: What a user should know: operators without a rule.
    """

    def __init__(self, model: Model, flow: Flow, solved: Solved) -> None:
        self.model = model
        self._flow = flow
        self._solved = solved
        self._axes = [
            _Axis(flow.ports[key].value, key, axis, ids)
            for (key, axis), ids in flow.axes.items()
            if key in flow.ports
        ]
        self._order = {v: i for i, v in enumerate(_in_order(model.ir))}
        self._axes.sort(key=lambda a: (self._order.get(a.value, -1), a.axis))
        self._layers = _roles(find_layers(model.ir))
        self._group_of, self._channel_of = self._grouped()
        self.groups: tuple[Group, ...] = self._named()
        self._by_name = {group.name: i for i, group in enumerate(self.groups)}

    @cached_property
    def kept(self) -> tuple[Kept, ...]:
        """Return what can't be cut: axes of layers, with reasons."""
        found: dict[tuple[str, str], Kept] = {}
        for a in self._axes:
            role = self._layers.get((a.value, a.axis))
            reason = None if role is None else self._solved.reason(a.ids)
            if role is None or reason is None or role[1] != "output":
                continue
            pinned = int(np.count_nonzero(~self._solved.free(a.ids)))
            found.setdefault((role[0], reason), Kept(role[0], pinned, (role[0],), reason))
        return tuple(found.values())

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Return which operators have no rule."""
        counts = Counter((n.domain, n.op_type) for n in self._flow.unknown)
        first = {(n.domain, n.op_type): describe(n) for n in reversed(self._flow.unknown)}
        return tuple(
            f"{first[key]}{f' and {count - 1} more' if count > 1 else ''}: the table "
            f"'channel-flow' has no rule for {f'{key[0]}::' if key[0] else ''}{key[1]}; what it "
            "reads and gives is kept whole"
            for key, count in counts.items()
        )

    def group(self, name: str) -> Group:
        """Return a group by its name.

        Raises:
            UnknownNameError: If there is none.
        """
        if name not in self._by_name:
            raise UnknownNameError("channel group", name, self._by_name)
        return self.groups[self._by_name[name]]

    def cut(self, removed: Mapping[str, Sequence[int] | Ids]) -> Model:
        """Return the model without some channels: a smaller dense graph.

        If all that is cut is zero in all its slices, the outputs are those of the model.  There
        is one exception: something that is not zero at zero (a Sigmoid, or a bias along another
        axis) right before a normalisation or mean over channels, which then sees less of it.

        Args:
            removed: Which channels of a group go, by the name of the group.

        Raises:
            UnknownNameError: If there is no such group.
            OptionError: If a group has no such channel, or none would be left.
        """
        classes = np.zeros(self._solved.pin.size, np.bool_)
        for name, channels in removed.items():
            group = self.group(name)
            own = self._group_of == self._by_name[name]
            classes[own] = _checked(group, channels)[self._channel_of[own]]
        if not classes.any():
            return self.model
        return Cut(self.model, self._flow, self._solved.classes, classes).run()

    @cached_property
    def sizing(self) -> Sizing:
        """What the model would cost with fewer channels."""
        groups = [self._group_of[self._solved.classes[a.ids]] for a in self._axes]
        axes = {
            (a.value, a.axis): np.bincount(g + 1, minlength=len(self.groups) + 1)
            for a, g in zip(self._axes, groups, strict=True)
        }
        return Sizing(self.model, axes, [group.size for group in self.groups])

    def cost(self, kept: Mapping[str, int]) -> tuple[int, int]:
        """Return multiply-accumulates and parameters if groups keep so many channels.

        Args:
            kept: How many channels are left, by the name of the group; all of those not named.
        """
        counts = np.array([kept.get(group.name, group.size) for group in self.groups])
        return self.sizing.macs(counts), self.sizing.parameters(counts)

    def to_dict(self) -> dict[str, Any]:
        """Return the groups as plain data, under the keys of ``inspect --groups --json``."""
        from onnxpress.channels.report import to_dict

        return to_dict(self)

    def __rich__(self) -> RenderableType:
        from onnxpress.channels.report import render

        return render(self)

    def _grouped(self) -> tuple[Ids, Ids]:
        """Return for every class its group and its channel there, -1 for what can't be cut.

        Classes belong together if they lie on the same axes.  Every axis adds a random number
        of 64 bits to the classes on it: equal sums are equal sets.
        """
        rng = np.random.default_rng(0)
        sums = np.zeros(self._solved.pin.size, np.uint64)
        first = np.full(sums.size, np.iinfo(np.int64).max)
        spoken_for = np.zeros(sums.size, np.bool_)
        start = 0
        for a in self._axes:
            classes, at = np.unique(self._solved.classes[a.ids], return_index=True)
            sums[classes] += rng.integers(1 << 63, dtype=np.uint64)
            first[classes] = np.minimum(first[classes], start + at)
            start += a.ids.size
            if is_constant(a.value):
                spoken_for[classes] = True
        groups, channels = np.full(sums.size, -1), np.full(sums.size, -1)
        usable = np.flatnonzero((self._solved.pin < 0) & spoken_for)
        usable = usable[np.argsort(first[usable], kind="stable")]
        _, index, inverse, counts = np.unique(
            sums[usable], return_index=True, return_inverse=True, return_counts=True
        )
        order = np.argsort(index)
        order = order[counts[order] > 1]  # a group of one can't be cut
        rank = np.full(len(index), -1)
        rank[order] = np.arange(len(order))
        groups[usable] = rank[inverse]
        for number in range(len(order)):
            own = usable[rank[inverse] == number]
            channels[own] = np.arange(own.size)
        return groups, channels

    def _named(self) -> tuple[Group, ...]:
        members: dict[int, list[Member]] = {}
        activations: dict[int, list[Member]] = {}
        for a in self._axes:
            classes = self._solved.classes[a.ids]
            groups = self._group_of[classes]
            for number in np.unique(groups[groups >= 0]):
                channel = np.where(groups == number, self._channel_of[classes], -1)
                layer, side = self._layers.get((a.value, a.axis), ("", "other"))
                if self._flow.ports[a.key].sizes[a.axis] is None:
                    continue  # it counts channels within something else, again and again
                member = Member(a.value.name or "", a.axis, channel, layer, side)
                into = members if is_constant(a.value) else activations
                into.setdefault(int(number), []).append(member)
        heads = np.zeros(self._solved.pin.size, np.bool_)
        for ids in self._flow.heads:
            heads[self._solved.classes[ids]] = True
        names = _names([members[i] for i in sorted(members)])
        sizes = np.bincount(self._group_of[self._group_of >= 0], minlength=len(members))
        return tuple(
            Group(
                names[i],
                int(sizes[i]),
                _once(members[i]),
                _once(activations.get(i, [])),
                bool(heads[self._group_of == i].any()),
            )
            for i in sorted(members)
        )


def _once(members: Sequence[Member]) -> tuple[Member, ...]:
    """Leave out what several uses of one stored tensor say twice."""
    seen: dict[tuple[str, int, bytes], Member] = {}
    for member in members:
        seen.setdefault((member.tensor, member.axis, member.channel.tobytes()), member)
    return tuple(seen.values())


def _checked(group: Group, channels: Sequence[int] | Ids) -> Flags:
    """Return for every channel whether it goes."""
    indices = np.asarray(channels, np.int64).reshape(-1)
    if indices.size and not (indices.min() >= 0 and indices.max() < group.size):
        raise OptionError(f"group {group.name!r} has the channels 0 to {group.size - 1} only")
    gone = np.zeros(group.size, np.bool_)
    gone[indices] = True
    if gone.all():
        raise OptionError(f"all {group.size} channels of {group.name!r} would go; one must stay")
    return gone


def _in_order(model: ir.Model) -> Iterator[ir.Value]:
    """Visit the values of the main graph where they are first read or made."""
    yield from model.graph.inputs
    for node in model.graph:
        yield from (v for v in node.inputs if v is not None)
        yield from node.outputs


def _roles(layers: Sequence[Layer]) -> dict[tuple[ir.Value, int], tuple[str, Side]]:
    """Return for axes of stored tensors whose they are, and what they count."""
    roles: dict[tuple[ir.Value, int], tuple[str, Side]] = {}
    for layer in layers:
        for weight in layer.tensors:
            for axis, side in ((weight.output_axis, "output"), (weight.input_axis, "input")):
                if axis is not None:
                    rank = len(weight.shape)
                    key = weight.value, axis % rank if rank else 0
                    roles.setdefault(key, (layer.name, side))  # type: ignore[arg-type]
    return roles


def _names(members: Sequence[Sequence[Member]]) -> list[str]:
    """Name every group after the first layer that gives its channels."""
    wished = [
        next(
            (m.layer for m in (*(m for m in own if m.side == "output"), *own) if m.layer),
            own[0].tensor,
        )
        for own in members
    ]
    counts, seen = Counter(wished), Counter[str]()
    names = []
    for name in wished:
        seen[name] += 1
        names.append(name if counts[name] == 1 else f"{name}#{seen[name]}")
    return names
