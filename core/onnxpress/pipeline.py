"""The pipeline: one step after the other, each on what the last one made, each result checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from onnxpress.data import open_data
from onnxpress.errors import OnnxpressError, PluginError, UsageError, noting
from onnxpress.events import Event, StepFinished, StepStarted
from onnxpress.graph.history import append_step
from onnxpress.importing import load
from onnxpress.job import Job
from onnxpress.recipe.steps import asked, describe, options_of, unusual_options
from onnxpress.report import StepReport
from onnxpress.verifying import verify

if TYPE_CHECKING:
    from onnxpress.contract import Transform
    from onnxpress.data.batch import Data
    from onnxpress.graph.model import Model
    from onnxpress.plugins import Plugins
    from onnxpress.recipe import Recipe
    from onnxpress.session import Session


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a step made of a model.

    Attributes:
        model: The result, with the step in its history.
        session: The result, loaded; None if ONNX Runtime does not load the original either.
        report: What the step did.
    """

    model: Model
    session: Session | None
    report: StepReport


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A recipe, and the model that goes through it.

    Attributes:
        recipe: What to do.
        plugins: Who does it.
        original: What to do it to.
        data: What steps calibrate and train on.
        tell: Told of every event.
    """

    recipe: Recipe
    plugins: Plugins
    original: Model
    data: Data | None
    tell: Callable[[Event], None]

    @classmethod
    def begin(
        cls, model: object, recipe: Recipe, plugins: Plugins, notify: Callable[[Event], None]
    ) -> Pipeline:
        """Open the model and the data.

        Raises:
            UsageError: If the recipe has no steps, or there is no such model or data.
            ModelError: If the model can't be used.
            DataError: If the data can't be used.
        """
        if not recipe.steps:
            raise UsageError("there is nothing to do; give a step, such as magnitude-pruning")

        def tell(event: Event) -> None:
            notify(event)
            plugins.notify(event)

        original = load(model, plugins=plugins)
        data = None if recipe.data is None else open_data(recipe.data, original)
        return cls(recipe, plugins, original, data, tell)

    def attempts(self) -> Iterator[Attempt]:
        """Run the steps; yield what each of them makes.

        Raises:
            OnnxpressError: If a step fails or spoils the model; says which, and its options.
        """
        model = self.original
        for i, step in enumerate(self.recipe.steps):
            attempt = self._attempt(i, step, model)
            model = attempt.model
            yield attempt

    def seed(self, index: int) -> int:
        """Return the seed of a step: each has randomness of its own."""
        return int(np.random.SeedSequence([self.recipe.seed, index]).generate_state(1)[0])

    def _attempt(self, index: int, step: Transform, model: Model) -> Attempt:
        total, options = len(self.recipe.steps), options_of(step)
        job = Job(self.data, self.seed(index), self.plugins.rules, self.tell, plugins=self.plugins)
        self.tell(StepStarted(index, total, step.name, options))
        with blaming(step, index, total):
            started = perf_counter()
            result = self.plugins.run(step, model, job)
            seconds = perf_counter() - started
            session = verify(result, self.original)
        changed, declined = len(job.changed), len(job.declined)
        self.tell(StepFinished(index, total, step.name, seconds, changed, declined))
        report = StepReport(
            step.name, options, seconds, job.changed, job.declined, job.summary, asked(step)
        )
        return Attempt(_remembering(result, step, job.seed), session, report)


@contextmanager
def blaming(step: Transform, index: int, total: int) -> Iterator[None]:
    """Say of what goes wrong which step it was, and with which options.

    Raises:
        OnnxpressError: What the step raised on purpose.
        PluginError: If it raised anything else.
    """
    number = f"{index + 1} of {total}: " if total > 1 else ""
    with noting(f"in step {number}{describe(step)}"):
        try:
            yield
        except OnnxpressError:
            raise
        except MemoryError as error:
            raise OnnxpressError("there is not enough memory") from error
        except Exception as error:
            package = type(step).__module__.partition(".")[0]
            raise PluginError(
                f"{step.name} failed with {type(error).__name__}: {error}; this looks like a bug "
                f"in {package} rather than in your model or data"
            ) from error


def _remembering(model: Model, step: Transform, seed: int) -> Model:
    """Write into a model what was done to it; without times, so that bytes stay the same.

    Options at their defaults are left out: every file holds the record, small ones too.
    """
    edit = model.edit()
    record = {"name": step.name, "options": unusual_options(step), "seed": seed}
    append_step(edit.ir, {**record, "onnxpress": version("onnxpress")})
    return edit.done()
