"""`fit`: train a model on data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxpress.data.prefetch import prefetched
from onnxpress.data.sampling import Epochs
from onnxpress.errors import DataError, OnnxpressError
from onnxpress.events import EpochFinished, Event, Trained
from onnxpress.training.diagnosis import first_not_finite, not_finite_among
from onnxpress.training.holdout import Holdout
from onnxpress.training.loss import read_labels
from onnxpress.training.masking import Masking, Moment
from onnxpress.training.pace import Pace
from onnxpress.training.planning import plan_step
from onnxpress.training.results import Results
from onnxpress.training.resuming import Identity, Resuming
from onnxpress.training.running import Runner
from onnxpress.training.step import LOSS, NORM, Plan, build_step
from onnxpress.training.update import APPLY, COUNT, RATE, SHARE

if TYPE_CHECKING:
    from onnxpress.contract import Objective
    from onnxpress.data.batch import Array, Batch, Data, Feeds
    from onnxpress.graph.model import Model
    from onnxpress.rules import Rule
    from onnxpress.training.constraints import Constraint
    from onnxpress.training.options import Training


@dataclass(frozen=True)
class Fitted:
    """What training gives.

    Attributes:
        model: The trained model; its graph is that of the model given.
        history: One entry per epoch: ``epoch``, ``loss`` and its parts, and ``score`` if
            samples were held out.
        trained: Names of the tensors that were trained.
        unused: Names of those on which the loss does not depend.
        best_epoch: After how many epochs the weights returned were measured; None if it is
            the last.
    """

    model: Model
    history: tuple[Mapping[str, Any], ...]
    trained: tuple[str, ...]
    unused: tuple[str, ...]
    best_epoch: int | None = None


def fit(  # noqa: PLR0913  # what training needs, each by name
    model: Model,
    data: Data,
    options: Training,
    objectives: Sequence[Objective],
    *,
    seed: int = 0,
    constraints: Mapping[str, Constraint] | None = None,
    masking: Masking | None = None,
    rules: Sequence[Rule] = (),
    notify: Callable[[Event], None] = lambda _event: None,
) -> Fitted:
    """Train a model.

    The same model, data, options and seed give the same weights, also if the fit is
    interrupted and goes on from a checkpoint.

    Args:
        model: What to train; it stays as it is.
        data: What to train on.
        options: How to train.
        objectives: What to minimise.
        seed: Where all chance comes from.
        constraints: What holds for parameters after every step, besides pruned zeros.
        masking: Masks that change between updates; they take the place of pruned zeros.
        rules: Rules of plugins for the table ``gradient``.
        notify: Told of progress.

    Raises:
        UsageError: If options, objectives, data or checkpoint do not fit the model.
        DataError: If a batch can't be used.
        MissingRuleError: If an operator has no gradient rule.
        OnnxpressError: If the loss becomes NaN or infinite; says at which batch and tensor.
    """
    plan = plan_step(model, options, objectives, constraints or {}, masking, rules)
    return _Fit(model, data, options, plan, seed, notify, masking).run()


class _Fit:
    """One fit: what it needs is made once, and `run` is the loop."""

    def __init__(
        self,
        model: Model,
        data: Data,
        options: Training,
        plan: Plan,
        seed: int,
        notify: Callable[[Event], None],
        masking: Masking | None = None,
    ) -> None:
        self._options = options
        self._notify = notify
        self._masking = masking
        self._holdout = Holdout.open(model, data, options, seed)
        train = data if self._holdout is None else self._holdout.train
        self._epochs = _epochs(train, model, options, seed)
        first = next(self._epochs.batches(0), None)
        if first is None:
            raise DataError(f"{data.name} has no batch to train on")
        self._pace = Pace.of(options, self._epochs)
        self._step = build_step(model, plan, first.labels)
        self._results = Results(model, self._step)
        self._runner = Runner(self._step, threads=options.threads, provider=options.provider)
        pruning = "" if masking is None else masking.text
        identity = Identity(model, data, first, options, plan.objectives, seed, pruning)
        self._checkpoints = Resuming(identity, self._runner)
        self._at, self._best = self._checkpoints.restore()

    def run(self) -> Fitted:
        """Go through the epochs."""
        while not self._pace.done(self._at):
            self._epoch()
        state = self._best or self._runner.state()
        last = not self._best or self._at.best_epoch == self._at.epoch
        return Fitted(
            self._results.model(state),
            tuple(self._at.history),
            self._results.trained,
            self._step.unused,
            None if last else self._at.best_epoch,
        )

    def _epoch(self) -> None:
        """Go through the data, from the batch on that comes next."""
        started = perf_counter()
        at, options = self._at, self._options
        for feeds, last in prefetched(self._feeds(at.epoch, at.batch)):
            self._change_masks()
            self._train(feeds, last=last)
            if self._pace.stops(at):
                break
            self._checkpoints.after_batch(at, self._best)
        self._check_state()
        losses = {name: total / max(at.batch, 1) for name, total in at.sums.items()}
        score = self._score()
        at.history.append(
            {"epoch": at.epoch + 1, **losses, **({} if score is None else {"score": score})}
        )
        self._notify(
            EpochFinished(at.epoch, options.epochs, losses, score, perf_counter() - started)
        )
        at.epoch, at.batch, at.sums = at.epoch + 1, 0, {}
        self._checkpoints.save(at, self._best)

    def _feeds(self, epoch: int, start: int) -> Iterator[tuple[dict[str, Array], bool]]:
        """Return what each batch feeds, and whether it is the last of the epoch."""
        before: dict[str, Array] | None = None
        for index, batch in enumerate(self._epochs.batches(epoch, start), start + 1):
            if before is not None:
                yield before, False
            before = self._read(batch, f"batch {index} of epoch {epoch + 1}")
        if before is not None:
            yield before, True

    def _read(self, batch: Batch, where: str) -> dict[str, Array]:
        return {**batch.feeds, **read_labels(self._step.labels, batch, where)}

    def _change_masks(self) -> None:
        """Let masks change, before the first of the batches that make an update."""
        at = self._at
        if self._masking is not None and at.batch % self._options.accumulate == 0:
            self._masking.before(
                Moment(at.updates, self._pace, self._step.slots, self._runner, self._results)
            )

    def _train(self, feeds: dict[str, Array], *, last: bool) -> None:
        """Do one step."""
        at, options = self._at, self._options
        rate, updates = self._pace.rate(at), self._pace.updates(at, last=last)
        feeds[RATE] = np.array(rate, np.float32)
        feeds[COUNT] = np.array(at.updates + 1, np.float32)
        if options.accumulate > 1:
            feeds[APPLY] = np.array(updates)
            feeds[SHARE] = np.array(1 / self._pace.together(at), np.float32)
        results = self._runner.run(feeds)
        at.batch += 1
        if not all(map(isfinite, results.values())):
            raise self._went_wrong(feeds, results)
        losses = {_short(name): value for name, value in results.items() if name != NORM}
        for name, loss in losses.items():
            at.sums[name] = at.sums.get(name, 0.0) + loss
        at.updates += updates
        steps = self._pace.batches
        self._notify(Trained(at.epoch, options.epochs, at.batch, steps, at.updates, losses, rate))

    def _went_wrong(self, feeds: Feeds, results: Mapping[str, float]) -> OnnxpressError:
        bad = next(name for name, value in results.items() if not isfinite(value))
        given = {**self._runner.state(), **feeds}
        found = first_not_finite(self._step.model, given, bad)
        what = bad if bad == NORM else _short(bad)
        return self._stopped(f"the {what} is not finite at update {self._at.updates + 1}", found)

    def _check_state(self) -> None:
        """Make sure, after the last update of an epoch, that no weight overflowed."""
        found = not_finite_among(self._runner.state())
        if found is not None:
            raise self._stopped(f"weights are not finite after update {self._at.updates}", found)

    def _stopped(self, what: str, found: str) -> OnnxpressError:
        return OnnxpressError(
            f"training stopped: {what} (batch {self._at.batch} of epoch {self._at.epoch + 1}); "
            f"the first tensor that went wrong is {found}; try a smaller learning rate (lr), "
            "clip-norm=1, or look at that batch"
        )

    def _score(self) -> float | None:
        """Score the weights on what is held out, and keep the best."""
        if self._holdout is None:
            return None
        score = self._holdout.score(self._results.of(self._runner.values()))
        at = self._at
        if self._masking is not None and not self._masking.settled(at.updates, self._pace):
            at.best_epoch = at.epoch + 1  # patience waits from here; nothing is kept yet
        elif at.best is None or self._holdout.is_better(score, at.best):
            at.best, at.best_epoch = score, at.epoch + 1
            self._best = self._runner.state()
        return score


def _epochs(data: Data, model: Model, options: Training, seed: int) -> Epochs:
    return Epochs(
        data,
        seed,
        options.batch,
        options.shuffle,
        options.balanced,
        options.drop_last,
        options.augment,
        _classes(model),
    )


def _classes(model: Model) -> int | None:
    """Return how many classes a model tells apart, if its only output says so."""
    if len(model.outputs) != 1:
        return None
    known = model.types.get(model.outputs[0].name or "")
    shape = None if known is None else known.shape
    return shape[1] if shape and len(shape) > 1 and isinstance(shape[1], int) else None


def _short(name: str) -> str:
    """Return what the report calls a loss: ``loss``, or the objective's name."""
    return "loss" if name == LOSS else name.removeprefix(f"{LOSS}: ")
