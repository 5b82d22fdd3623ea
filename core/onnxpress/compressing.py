"""`compress`: run a recipe on a model, check every result, and report what became of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from onnxpress.data.overlap import overlaps
from onnxpress.guarding import guard
from onnxpress.inspection import inspect
from onnxpress.judging import Judge, open_judge
from onnxpress.measure.environment import environment
from onnxpress.pipeline import Attempt, Pipeline
from onnxpress.plugins import Plugins
from onnxpress.recipe import Recipe
from onnxpress.recipe.recipe import Steps
from onnxpress.report import Figures, Report

if TYPE_CHECKING:
    from onnxpress.data.batch import Data
    from onnxpress.events import Event
    from onnxpress.graph.model import Model
    from onnxpress.metrics.evaluation import Score
    from onnxpress.rules import Rule

_NOT_TRIED: Final = (
    "ONNX Runtime does not load the original, so the result could not be tried in it either"
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a run gives: the model, and what became of it."""

    model: Model
    report: Report


def compress(  # noqa: PLR0913  # one entry point, every option with a default
    model: object,
    steps: Steps = (),
    *,
    data: object = None,
    validation: object = None,
    metric: object = None,
    seed: int | None = None,
    max_drop: float | None = None,
    plugins: Plugins | None = None,
    notify: Callable[[Event], None] = lambda _event: None,
    recipe: Recipe | str | os.PathLike[str] | None = None,
) -> Result:
    """Apply steps to a model.

    Every step's result is checked: inputs and outputs as in the original, valid ONNX,
    loads in ONNX Runtime.  The same model, steps, data and seed give the same bytes.

    Args:
        model: A path, a `Model`, or anything else that `load` takes; it stays as it was.
        steps: What to do, in order: texts ``name:key=value``, tables with ``use``, or
            `Transform` objects; added to those of `recipe`.
        data: What steps calibrate and train on, in any form of `onnxpress.data.open_data`.
        validation: What the metric is measured on, in the same forms; never `data` instead.
        metric: How to score, in any form of `onnxpress.metrics.open_metric`.  By default
            top-1 if labels are class indices, else cosine similarity to the original.
        seed: Where all randomness comes from; 0 by default.
        max_drop: By how much the metric may get worse, in units of the metric: 0.01 of
            top-1 is one percentage point.
        plugins: Where names are looked up; all that are installed by default.
        notify: Told of progress, as the observers among the plugins are.
        recipe: A recipe, or the file of one.  What is given besides wins over it.

    Raises:
        UsageError: If a step, option, file or combination of them is wrong.
        ModelError: If the model can't be used, or a step spoils it.
        DataError: If the data can't be used.
        GuardError: If the metric fell by more than `max_drop`; says what did it.
        PluginError: If a step fails for no reason of its own.
    """
    settings = {"data": data, "validation": validation, "metric": metric}
    host = plugins or Plugins.discover()
    asked = open_recipe(recipe, host).but(steps, host, seed=seed, max_drop=max_drop, **settings)
    pipeline = Pipeline.begin(model, asked, host, notify)
    judge = open_judge(asked, pipeline.original, pipeline.tell)
    before = None if judge is None else judge.score(judge.original, "measuring the original")
    attempts = _run(pipeline)
    session = attempts[-1].session
    after = judge.score(session, "measuring the result") if judge and session else None
    if asked.max_drop is not None and judge and before and after:
        guard(asked.max_drop, judge, before, after, attempts)
    return Result(attempts[-1].model, _report(pipeline, judge, (before, after), attempts))


def open_recipe(recipe: Recipe | str | os.PathLike[str] | None, plugins: Plugins) -> Recipe:
    """Return a recipe as it is, from its file, or empty.

    Raises:
        UsageError: If the file can't be read, or something in it is wrong.
    """
    if isinstance(recipe, str | os.PathLike):
        return Recipe.read(recipe, plugins)
    return recipe or Recipe()


def _run(pipeline: Pipeline) -> list[Attempt]:
    """Run all steps; of the sessions, only the last is kept."""
    attempts: list[Attempt] = []
    for attempt in pipeline.attempts():
        if attempts:
            attempts[-1] = replace(attempts[-1], session=None)
        attempts.append(attempt)
    return attempts


def _report(
    pipeline: Pipeline,
    judge: Judge | None,
    scores: tuple[Score | None, Score | None],
    attempts: Sequence[Attempt],
) -> Report:
    original, rules = pipeline.original, pipeline.plugins.rules
    used = {"data": pipeline.data, "validation": judge.validation if judge else None}
    return Report(
        model=original.path.name if original.path else original.ir.graph.name or "model",
        before=_figures(original, rules, scores[0]),
        after=_figures(attempts[-1].model, rules, scores[1]),
        steps=[attempt.report for attempt in attempts],
        recipe=pipeline.recipe.to_dict(),
        data={key: None if data is None else data.name for key, data in used.items()},
        environment=environment(),
        warnings=list(_warnings(pipeline.data, used["validation"], attempts)),
        notes=list(_notes(used.values())),
    )


def _figures(model: Model, rules: tuple[Rule, ...], score: Score | None) -> Figures:
    seen = inspect(model, rules=rules)
    cost = seen.cost
    return Figures(
        cost.bytes_stored, cost.parameters, cost.macs, seen.sparsity, seen.precision, score
    )


def _warnings(
    data: Data | None, validation: Data | None, attempts: Sequence[Attempt]
) -> Iterator[str]:
    if data is not None and validation is not None and (shared := overlaps(data, validation)):
        yield f"{shared}; the metric says less about samples that no step has seen"
    if attempts[-1].session is None:
        yield _NOT_TRIED
    for attempt in attempts:
        if not attempt.report.changed:
            yield f"{attempt.report.name} changed nothing"


def _notes(used: Iterable[Data | None]) -> Iterator[str]:
    for data in used:
        if data is not None:
            yield from (f"{data.name}: {note}" for note in data.notes)
