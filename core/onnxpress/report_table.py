"""A report as a table for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from onnxpress.plain import plain
from onnxpress.recipe.steps import shown

if TYPE_CHECKING:
    from onnxpress.contract import Declined
    from onnxpress.metrics.evaluation import Score
    from onnxpress.planning import Plan
    from onnxpress.report import Figures, Report, StepReport

_TIMES: Final = "×"
_SHOWN: Final = 3  # subjects named of those that were declined for the same reason
_REASONS: Final = 6
_LONGEST: Final = 50
_NAMES: Final = re.compile(r"\S*[\d/_:.]\S*")  # words that look like names of nodes, or figures


def render(report: Report) -> RenderableType:
    """Return before and after, the steps with what they declined, and the warnings."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column(escape(report.model), style="dim", no_wrap=True)
    for label in ("before", "after", ""):
        table.add_column(label, justify="right", overflow="fold")
    for row in _rows(report.before, report.after):
        table.add_row(*map(escape, row))
    steps = [part for step in report.steps for part in render_step(step)]
    warnings = [Text(f"warning: {text}", style="yellow") for text in report.warnings]
    notes = [Text(f"note: {text}", style="dim") for text in report.notes]
    return Group(table, "", *steps, *warnings, *notes)


def _rows(before: Figures, after: Figures) -> Iterator[tuple[str, str, str, str]]:
    sizes = before.bytes_stored, after.bytes_stored
    yield "size", _size(sizes[0]), _size(sizes[1]), _ratio(*sizes)
    yield "parameters", *_counts(before.parameters, after.parameters)
    yield "MACs", *_counts(before.macs, after.macs)
    yield "zeros", f"{before.sparsity:.1%}", f"{after.sparsity:.1%}", ""
    yield "precision", _precision(before), _precision(after), ""
    yield _metric(before.metric, after.metric)


def _counts(before: int, after: int) -> tuple[str, str, str]:
    return f"{before:,}", f"{after:,}", _ratio(before, after)


def _ratio(before: int, after: int) -> str:
    return f"{after / before:.2f} {_TIMES}" if before else ""


def _size(number: int) -> str:
    """Return bytes with three significant digits: ``1.09 MB``."""
    value, prefix = float(number), ""
    for prefix in ("", "k", "M", "G", "T"):  # noqa: B007
        if value < 999.5:  # noqa: PLR2004
            break
        value /= 1000
    digits = f"{value:#.3g}".rstrip(".") if prefix else f"{number}"
    return f"{digits} {prefix}B"


def _precision(figures: Figures) -> str:
    shares = list(figures.precision.items())
    if len(shares) == 1:
        return shares[0][0]
    return ", ".join(f"{name} {share:.1%}" for name, share in shares)


def _metric(before: Score | None, after: Score | None) -> tuple[str, str, str, str]:
    if before is None or after is None:
        return "metric", "", "not measured", ""
    change = after.value - before.value
    if before.name.startswith("top-"):
        values = f"{before.value:.2%}", f"{after.value:.2%}"
        return before.name, *values, f"{change * 100:+.2f} points"
    return before.name, f"{before.value:.5g}", f"{after.value:.5g}", f"{change:+.3g}"


def render_plan(plan: Plan) -> RenderableType:
    """Return the steps, what they would do, and why some can't say."""
    parts: list[RenderableType] = []
    for step in plan.steps:
        if step.report is not None:
            parts += render_step(step.report)
        else:
            parts += [_head(step.name, f"not tried: {step.reason}"), *_line(step.resolved)]
    return Group(*parts)


def render_step(step: StepReport) -> Iterator[RenderableType]:
    """Yield a step, and one line for every reason for which it declined something."""
    yield _head(step.name, f"{step.seconds:.1f} s, {_outcome(step)}")
    yield from _line(step.asked)
    yield from _line(step.summary)
    groups = list(_by_reason(step.declined).items())
    for reason, subjects in groups[:_REASONS]:
        yield _indented(f"{len(subjects)} {_TIMES} {reason}: {_named(subjects)}")
    if rest := sum(len(subjects) for _, subjects in groups[_REASONS:]):
        yield _indented(f"{rest} for other reasons; the JSON report has them all")


def render_details(steps: Sequence[StepReport]) -> Iterator[RenderableType]:
    """Yield a line for everything that was changed or declined."""
    for step in steps:
        yield _head(step.name, "")
        for change in step.changed:
            figures = ", ".join(f"{key}={shown(plain(v))}" for key, v in change.details.items())
            yield Text(f"  changed  {change.subject}  {figures}")
        for decline in step.declined:
            yield Text(f"  left     {decline.subject}: {decline.reason}")


def _head(name: str, rest: str) -> Text:
    return Text(f"{name}  ", style="bold").append(rest, style="not bold")


def _line(text: str) -> Iterator[RenderableType]:
    if text:
        yield _indented(text)


def _indented(text: str) -> RenderableType:
    return Padding(Text(text, style="dim"), (0, 0, 0, 2), expand=False)


def _outcome(step: StepReport) -> str:
    changed = len({change.subject for change in step.changed})
    declined = len({decline.subject for decline in step.declined})
    rest = f", {declined} left as they were:" if declined else ""
    return f"{changed or 'nothing'} changed{rest}"


def _by_reason(declined: Sequence[Declined]) -> dict[str, list[str]]:
    """Group by reason, those with the most subjects first.

    Reasons that differ only in names and figures are one, with … where they differ.
    """
    groups: dict[str, list[Declined]] = {}
    for one in declined:
        groups.setdefault(_NAMES.sub("…", one.reason), []).append(one)
    ordered = sorted(groups.values(), key=len, reverse=True)
    return {_common([d.reason for d in group]): [d.subject for d in group] for group in ordered}


def _common(texts: Sequence[str]) -> str:
    words = zip(*(text.split() for text in texts), strict=True)
    return " ".join(same[0] if len(set(same)) == 1 else "…" for same in words)


def _named(subjects: Sequence[str]) -> str:
    more = len(subjects) - _SHOWN
    names = ", ".join(map(_shortened, subjects[:_SHOWN]))
    return f"{names} and {more} more" if more > 0 else names


def _shortened(name: str) -> str:
    """Leave the middle out of a name that would fill half a line; Keras joins whole paths."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2]}…{name[-_LONGEST // 2 :]}"
