"""How ``onnxpress inspect --groups`` shows what can be cut together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from onnxpress.channels.find import Channels
    from onnxpress.channels.group import Group

_SHOWN: Final = 4  # layers of a group; JSON has all of them


def to_dict(channels: Channels) -> dict[str, Any]:
    """Return the groups as plain data, under the keys of ``inspect --groups --json``."""
    return {
        "groups": [_plain(group) for group in channels.groups],
        "kept": [
            {"name": k.name, "channels": k.size, "layers": list(k.layers), "reason": k.reason}
            for k in channels.kept
        ],
        "notes": list(channels.notes),
        "parameters_in_groups": parameters_in_groups(channels),
        "parameters": channels.sizing.parameters(channels.sizing.full),
    }


def parameters_in_groups(channels: Channels) -> int:
    """Count the parameters of the tensors on which channels lie that can be cut."""
    members = {member.tensor for group in channels.groups for member in group.members}
    return channels.sizing.parameters(channels.sizing.full, members)


def render(channels: Channels) -> RenderableType:
    """Return a table of the groups, and one of what is kept."""
    full = channels.sizing.parameters(channels.sizing.full)
    share = parameters_in_groups(channels) / full if full else 0.0
    summary = f"{_count(len(channels.groups))}; {share:.1%} of {full:,} parameters lie in them"
    parts: list[RenderableType] = [summary, ""]
    if channels.groups:
        parts += [_groups(channels.groups, _norms(channels)), ""]
    if channels.kept:
        parts.append(_kept(channels))
    parts += [escape(note) for note in channels.notes]
    return Lines(*parts)


def _count(groups: int) -> str:
    return "1 channel group" if groups == 1 else f"{groups} channel groups"


def _groups(groups: Sequence[Group], norms: Collection[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("group", overflow="fold")
    table.add_column("channels", justify="right", no_wrap=True)
    for label in ("given by", "read by"):
        table.add_column(label, overflow="fold")
    for group in groups:
        size = f"{group.size:,}"
        if group.multiple > 1:
            size += f" × {group.multiple}"
        if group.heads:
            size += " heads"
        makers = [name for name in group.producers if name not in norms] or group.producers
        readers = [name for name in group.layers if name not in (*group.producers, *norms)]
        table.add_row(*map(escape, (group.name, size, _names(makers), _names(readers))))
    return table


def _norms(channels: Channels) -> frozenset[str]:
    """Return the normalisations: they go with every group, and would only fill the table."""
    return frozenset(layer.name for layer in channels.model.layers if layer.normalizes)


def _kept(channels: Channels) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("kept whole", overflow="fold")
    table.add_column("channels", justify="right", no_wrap=True)
    table.add_column("because", overflow="fold")
    for kept in channels.kept:
        table.add_row(escape(kept.name), f"{kept.size:,}", escape(kept.reason))
    return table


def _names(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _plain(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "channels": group.size,
        "multiple": group.multiple,
        "heads": group.heads,
        "layers": list(group.layers),
        "producers": list(group.producers),
        "members": [
            {
                "tensor": m.tensor,
                "axis": m.axis,
                "positions": m.positions,
                "layer": m.layer,
                "side": m.side,
            }
            for m in group.members
        ],
    }
