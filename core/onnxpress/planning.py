"""`plan`: what a recipe would do to a model, as far as that can be said without data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from onnxpress.data.batch import Batch, Data
from onnxpress.errors import OnnxpressError
from onnxpress.events import Event
from onnxpress.judging import open_judge
from onnxpress.pipeline import Pipeline
from onnxpress.recipe.steps import options_of, resolved
from onnxpress.report import StepReport

if TYPE_CHECKING:
    from rich.console import RenderableType

    from onnxpress.plugins import Plugins
    from onnxpress.recipe import Recipe


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step that would be run.

    Attributes:
        name: Its name.
        options: All of its options, resolved.
        report: What it did when it was tried, in memory; None if it was not.
        reason: Why it was not tried.
        resolved: Its options as text.
    """

    name: str
    options: Mapping[str, Any]
    report: StepReport | None = None
    reason: str = ""
    resolved: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        done = self.report.to_dict() if self.report else {"changed": None, "declined": None}
        return {
            "name": self.name,
            "options": dict(self.options),
            "changed": done["changed"],
            "declined": done["declined"],
            "not_tried": self.reason or None,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe would do; nothing is written.

    Attributes:
        steps: The steps.
        recipe: The whole recipe, with the keys of a recipe file.
    """

    steps: Sequence[PlannedStep]
    recipe: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {"steps": [step.to_dict() for step in self.steps], "recipe": dict(self.recipe)}

    def __rich__(self) -> RenderableType:
        from onnxpress.report_table import render_plan

        return render_plan(self)


def plan(model: object, recipe: Recipe, plugins: Plugins) -> Plan:
    """Try a recipe in memory up to the first step that has to go through the data.

    Model, data and metric are opened and checked as for a real run; observers are told
    nothing.

    Raises:
        OnnxpressError: If a run would fail for the same reason.
    """
    pipeline = Pipeline.begin(model, recipe, plugins, _ignore)
    open_judge(recipe, pipeline.original, _ignore)
    data = None if pipeline.data is None else _Untouched(pipeline.data)
    steps = [PlannedStep(s.name, options_of(s), resolved=resolved(s)) for s in recipe.steps]
    with suppress(_DataNeededError):
        attempts = replace(pipeline, data=data, tell=_ignore).attempts()
        for i, attempt in enumerate(attempts):
            report = replace(attempt.report, asked=steps[i].resolved)
            steps[i] = replace(steps[i], report=report)
    return Plan(_with_reasons(steps), recipe.to_dict())


def _with_reasons(steps: Sequence[PlannedStep]) -> Sequence[PlannedStep]:
    """Say of the first step that was not tried, and of those after it, why."""
    reason = "it goes through the data"
    explained: list[PlannedStep] = []
    for step in steps:
        explained.append(step if step.report else replace(step, reason=reason))
        reason = reason if step.report else "a step before it was not tried"
    return explained


def _ignore(_event: Event) -> None:
    """Tell nobody."""


class _DataNeededError(OnnxpressError):
    """A step began to go through the data."""


class _Untouched(Data):
    """Data that nobody may go through."""

    def __init__(self, data: Data) -> None:
        self.name, self.labelled, self.origin = data.name, data.labelled, data.origin
        self._data = data

    def __iter__(self) -> Iterator[Batch]:
        raise _DataNeededError

    @property
    def samples(self) -> int | None:
        return self._data.samples
