"""`coverage`: what becomes of each operator of the ONNX standard when a gradient meets it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from onnx import defs

from onnxpress.autodiff.activity import INTEGER, NO_GRADIENT
from onnxpress.autodiff.rules import GRADIENTS

if TYPE_CHECKING:
    from onnxpress.rules import Rule

How: TypeAlias = Literal["rule", "body", "none", "missing"]


@dataclass(frozen=True, slots=True)
class Covered:
    """What `gradient` does at one operator of ``ai.onnx``.

    Attributes:
        operator: Its name.
        how: ``rule``: it has a rule of its own; ``body``: it is written out by the function
            body that the standard gives for it; ``none``: no gradient passes, because its
            results are no floats, or do not depend on the values of floats, or are random;
            ``missing``: a gradient that reaches it is an error.
        since: The first opset for which that holds, for rules and bodies.
        module: The file that the rule is in.
    """

    operator: str
    how: How
    since: int | None = None
    module: str = ""


def coverage(opset: int | None = None, rules: Iterable[Rule] = ()) -> tuple[Covered, ...]:
    """Return all operators of ``ai.onnx`` in alphabetical order, but for those long dropped.

    Args:
        opset: The version of the standard, the newest that onnx knows by default.
        rules: Rules of plugins.
    """
    table = {rule.op: rule for rule in GRADIENTS + rules if not rule.domain}
    schemas = _schemas(opset or defs.onnx_opset_version())
    return tuple(_covered(schemas[name], table.get(name)) for name in sorted(schemas))


def _schemas(opset: int) -> dict[str, list[defs.OpSchema]]:
    """Return the versions of every operator that is in an opset, oldest first."""
    found: dict[str, list[defs.OpSchema]] = {}
    for schema in defs.get_all_schemas_with_history():
        if not schema.domain and schema.since_version <= opset:
            found.setdefault(schema.name, []).append(schema)
    for versions in found.values():
        versions.sort(key=lambda schema: schema.since_version)
    return {name: versions for name, versions in found.items() if not versions[-1].deprecated}


def _covered(versions: list[defs.OpSchema], rule: Rule | None) -> Covered:
    newest, first = versions[-1], versions[0].since_version
    if rule is not None:
        module = rule.apply.__module__.rpartition(".")[2]
        return Covered(newest.name, "rule", max(rule.since, first), module)
    if not _passes(newest):
        return Covered(newest.name, "none")
    since = next((schema.since_version for schema in versions if _has_body(schema)), None)
    return Covered(newest.name, "missing" if since is None else "body", since)


def _has_body(schema: defs.OpSchema) -> bool:
    """Say whether the standard gives a function body that `expand_nodes` writes out."""
    graphs = any(a.type == defs.OpSchema.AttrType.GRAPH for a in schema.attributes.values())
    body = schema.has_function or schema.has_context_dependent_function  # type: ignore[attr-defined]
    return bool(body) and not graphs


def _passes(schema: defs.OpSchema) -> bool:
    """Say whether a gradient can arrive at an operator and leave it."""
    if schema.name in INTEGER:
        return True
    ends = (schema.inputs, schema.outputs)
    return schema.name not in NO_GRADIENT and all(_any_float(end) for end in ends)


_FLOATS: Final = ("float", "double")


def _any_float(values: Iterable[defs.OpSchema.FormalParameter]) -> bool:
    return any(kind in text for text in _types(values) for kind in _FLOATS)


def _types(values: Iterable[defs.OpSchema.FormalParameter]) -> Iterator[str]:
    for value in values:
        yield from cast("Iterable[str]", value.types)
