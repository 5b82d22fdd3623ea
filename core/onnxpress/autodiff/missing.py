"""The error for operators without a gradient rule: which, where, and what can still be done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final

import onnx_ir as ir

from onnxpress.autodiff.activity import leads, read_by
from onnxpress.errors import MissingRuleError

if TYPE_CHECKING:
    from onnxpress.autodiff.backward import Walk

_SHOWN: Final = 8


class LackingRuleError(MissingRuleError):
    """Knows its nodes, so that the graph around a body can say what could still be trained.

    Attributes:
        nodes: The nodes without a rule.
    """

    def __init__(self, message: str, free: Sequence[str], nodes: Sequence[ir.Node]) -> None:
        super().__init__(message, free)
        self.nodes = nodes


def missing_rules(
    missing: Sequence[ir.Node],
    nodes: Sequence[ir.Node],
    wrt: Collection[ir.Value],
    walk: Walk,
    around: ir.Node | None = None,
) -> LackingRuleError:
    """Return the error for `missing`, the nodes that the way back leads through.

    Args:
        missing: Nodes without a rule, at least one.
        nodes: The whole graph.
        wrt: What the gradients are wanted of.
        walk: The rules and the opsets.
        around: The node of `nodes` in whose body the missing ones are, if they are in one.
    """
    crossed = missing if around is None else [around]
    behind = leads(nodes, [value for node in crossed for value in read_by(node)], walk.moves)
    free = [value.name or "" for value in wrt if value not in behind]
    still = f"without a rule these can be trained: {_listed(free)}" if free else _NONE_LEFT
    first = missing[0]
    example = f'@GRADIENTS("{first.op_type}"' + (
        f', domain="{first.domain}")' if first.domain else ")"
    )
    return LackingRuleError(
        f"no gradient rule for {'; '.join(_described(missing, walk))}; a plugin can add one "
        f"(hook onnxpress_rules, table 'gradient', as in {example}); {still}",
        free,
        missing,
    )


_NONE_LEFT: Final = "without one nothing that was asked for can be trained"


def _described(missing: Iterable[ir.Node], walk: Walk) -> list[str]:
    """Name every operator once, with its opset and the nodes that use it."""
    users: dict[str, list[str]] = {}
    for node in missing:
        operator = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        kind = f"{operator} (opset {walk.opsets.get(node.domain, '?')})"
        users.setdefault(kind, []).append(node.name or node.outputs[0].name or "")
    return [f"{kind} at {_listed(names)}" for kind, names in users.items()]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more
