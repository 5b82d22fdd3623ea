"""Tables of the documentation that are made from the code.

    python -m tests.tables

writes them anew into the pages; `tests/test_docs.py` fails where a page differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from onnxpress.autodiff.coverage import Covered, coverage
from onnxpress.recipe.options import allowed_range, choices, kebab
from onnxpress.recipe.steps import shown
from onnxpress.training.initializers import INITIALIZERS
from onnxpress.training.optimizers import OPTIMIZERS
from onnxpress.training.options import Training
from onnxpress.training.schedules import SCHEDULES, Schedule
from onnxpress_pruning.schedules.known import SCHEDULES as PRUNING_SCHEDULES
from onnxpress_pruning.schedules.timing import Timed
from onnxpress_training import OBJECTIVES
from tests.conftest import ROOT

OPSET: Final = 28
"""The version of the standard whose operators are listed."""

_HOW: Final = {"rule": "rule", "body": "written out", "none": "none passes", "missing": "**error**"}


def operators() -> str:
    """Return what becomes of each operator of the standard."""
    found = coverage(OPSET)
    parts = [
        f"Of the {len(found)} operators of `ai.onnx` at opset {OPSET}:",
        "",
        f"- **rule**: {_count(found, 'rule')} have a rule of their own.",
        f"- **written out**: {_listed(found, 'body')}, by the body that the standard gives.",
        f"- **none passes**: {_count(found, 'none')}, because their results are no floats, do not "
        "depend on the values of floats, or are random.",
        f"- **error**: {_listed(found, 'missing')}.",
        "",
        _row("operator", "gradient", "from opset", "rules in"),
        _row("---", "---", "---", "---"),
    ]
    return "\n".join([*parts, *map(_operator, found)])


def options() -> str:
    """Return the options of the block ``train``."""
    rows = [_option(name, field) for name, field in Training.model_fields.items()]
    return "\n".join([_row("option", "default", ""), _row("---", "---", "---"), *rows])


def objectives() -> str:
    """Return those objectives with the options that not all, or all penalties, have."""
    shared = {"weight", "output", "layers", "exclude"}
    return _chosen("objective", {kind.name: kind for kind in OBJECTIVES}, without=shared)


def optimizers() -> str:
    return _chosen("optimizer", OPTIMIZERS)


def schedules() -> str:
    return _chosen("schedule", SCHEDULES, without=Schedule.model_fields)


def pruning_schedules() -> str:
    """Return the schedules of pruning with the options that not all that are timed have."""
    return _chosen("schedule", PRUNING_SCHEDULES, without=Timed.model_fields)


def initializers() -> str:
    return _chosen("initializer", INITIALIZERS)


TABLES: Final[Mapping[tuple[str, str], Callable[[], str]]] = {
    ("gradients.md", "operators"): operators,
    ("training.md", "options"): options,
    ("training.md", "objectives"): objectives,
    ("training.md", "optimizers"): optimizers,
    ("training.md", "schedules"): schedules,
    ("training.md", "initializers"): initializers,
    ("prune-schedules.md", "pruning-schedules"): pruning_schedules,
}
"""What makes each table, by the page and the name in the comment above it."""


def written(page: str, name: str) -> str:
    """Return a table as it stands in a page."""
    return _split(page, name)[1]


def write(page: str, name: str) -> None:
    """Put a table into its page, in place of the one there."""
    before, _, after = _split(page, name)
    path = ROOT / "docs" / page
    path.write_text(f"{before}{TABLES[page, name]()}{after}", encoding="utf-8")


def _split(page: str, name: str) -> tuple[str, str, str]:
    """Return what stands before a table, the table, and what stands after it."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(
        rf"(.*<!-- table: {name} .*?-->\n\n)(.*?)(\n\n<!-- end -->.*)", text, re.DOTALL
    )
    assert found, f"docs/{page} has no comment <!-- table: {name} … -->, or none that ends it"
    before, table, after = found.groups()
    return before, table, after


def _operator(one: Covered) -> str:
    module = f"`{one.module}.py`" if one.module else ""
    return _row(one.operator, _HOW[one.how], one.since or "", module)


def _count(found: Iterable[Covered], how: str) -> int:
    return sum(one.how == how for one in found)


def _listed(found: Iterable[Covered], how: str) -> str:
    return ", ".join(one.operator for one in found if one.how == how)


def _chosen(what: str, kinds: Mapping[str, type[BaseModel]], without: Iterable[str] = ()) -> str:
    """Return a table of what can be chosen by name: each with its options and its docstring."""
    rows = [_row(what, "options", "")]
    rows.append(_row("---", "---", "---"))
    for name, kind in kinds.items():
        fields = {n: f for n, f in kind.model_fields.items() if n not in without}
        said = "<br>".join(f"`{_with_default(n, f)}` {_text(f)}" for n, f in fields.items())
        rows.append(_row(f"`{name}`", said, _first_paragraph(kind)))
    return "\n".join(rows)


def _option(name: str, field: FieldInfo) -> str:
    return _row(f"`{kebab(name)}`", _default(field), _text(field))


def _text(field: FieldInfo) -> str:
    words, limits = choices(field.annotation), allowed_range(field)
    said = [field.description or "", f"one of {', '.join(words)}" if words else limits]
    return "; ".join(filter(None, said))


def _with_default(name: str, field: FieldInfo) -> str:
    return f"{kebab(name)}={_default(field)}" if _default(field) else kebab(name)


def _default(field: FieldInfo) -> str:
    value = None if field.is_required() else field.get_default(call_default_factory=True)
    named = getattr(value, "name", value) if isinstance(value, BaseModel) else value
    return "" if named in (None, (), [], {}) else shown(named)


def _first_paragraph(kind: type[BaseModel]) -> str:
    return " ".join((kind.__doc__ or "").partition("\n\n")[0].replace("``", "`").split())


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    for place in TABLES:
        write(*place)
