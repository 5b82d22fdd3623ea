"""Bringing models of older operator sets to the one that all of onnxpress works with.

Why not `onnx.version_converter`: docs/decisions/0002-own-opset-upgrade.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import onnx_ir as ir

from onnxpress.graph import upgrade_experimental, upgrade_rules  # noqa: F401  # they fill UPGRADE
from onnxpress.graph.upgrade_site import UPGRADE, NoUpgradeError, Site, Surroundings, UpgradeRule

__all__ = ["UPGRADE", "WORKING_IR", "WORKING_OPSET", "NoUpgradeError", "upgraded"]

WORKING_OPSET: Final = 21
WORKING_IR: Final = 10


def upgraded(model: ir.Model) -> ir.Model:
    """Return the model at the working opset; one that is newer, as it is.

    The main graph, its subgraphs and the bodies of functions are upgraded, each from the
    version it imports.  Operators of other domains stay as they are.

    Raises:
        NoUpgradeError: If a node can't be upgraded exactly; names node, operator and why.
    """
    opset = model.opset_imports.get("", WORKING_OPSET)
    if opset > WORKING_OPSET:
        return model
    new = model.clone()
    around = Surroundings(model, new)
    _upgrade_nodes(new.graph.all_nodes, opset, around)
    new.opset_imports[""] = WORKING_OPSET
    around.in_function = True
    for function in new.functions.values():
        opset = function.opset_imports.get("", WORKING_OPSET)
        _upgrade_nodes(function.all_nodes, opset, around)
        function.opset_imports[""] = max(WORKING_OPSET, opset)
    new.ir_version = max(WORKING_IR, model.ir_version)
    return new


def _upgrade_nodes(
    nodes: Callable[[], Iterator[ir.Node]], opset: int, around: Surroundings
) -> None:
    """Bring nodes from `opset` to the working opset, version by version."""
    for since, rules in sorted(_steps().items()):
        if since > opset:
            for node in list(nodes()):
                if not node.domain and node.op_type in rules:
                    rules[node.op_type](Site(node, since, around))


def _steps() -> Mapping[int, Mapping[str, UpgradeRule]]:
    """Return the rules by version, then by operator."""
    steps: dict[int, dict[str, UpgradeRule]] = defaultdict(dict)
    for rule in UPGRADE:
        steps[rule.since][rule.op] = rule.apply
    return steps
