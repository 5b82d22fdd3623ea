"""`fit`: train a model on data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from onnxpress.data.prefetch import prefetched
from onnxpress.data.sampling import Epochs
from onnxpress.errors import DataError, OnnxpressError
from onnxpress.events import EpochFinished, Event, Trained
from onnxpress.training.checkpoint import Checkpoint, Position, fingerprint, read_checkpoint
from onnxpress.training.constraints import Constraint, kept_zeros
from onnxpress.training.diagnosis import first_not_finite
from onnxpress.training.holdout import Holdout
from onnxpress.training.lift import with_results
from onnxpress.training.running import Runner
from onnxpress.training.step import LOSS, NORM, Plan, Step, build_step
from onnxpress.training.targets import choose_parameters
from onnxpress.training.update import APPLY, COUNT, RATE, Update, averaged_name

if TYPE_CHECKING:
    from onnxpress.contract import Objective
    from onnxpress.data.batch import Array, Batch, Data, Feeds
    from onnxpress.graph.model import Model
    from onnxpress.rules import Rule
    from onnxpress.training.options import Training

_VOLATILE: Final = frozenset({"checkpoint", "checkpoint_every", "threads", "provider"})
"""Options that another run may change and still go on from a checkpoint."""


@dataclass(frozen=True)
class Fitted:
    """What training gives.

    Attributes:
        model: The trained model; its graph is that of the model given.
        history: One entry per epoch: ``epoch``, ``loss`` and its parts, ``score`` if samples
            were held out, ``seconds``.
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
        rules: Rules of plugins for the table ``gradient``.
        notify: Told of progress.

    Raises:
        UsageError: If options, objectives, data or checkpoint do not fit the model.
        DataError: If a batch can't be used.
        MissingRuleError: If an operator has no gradient rule.
        OnnxpressError: If the loss becomes NaN or infinite; says at which batch and tensor.
    """
    return _Fit(model, data, options, objectives, seed, constraints or {}, rules, notify).run()


@dataclass
class _Fit:
    """One fit; `run` is the loop."""

    model: Model
    data: Data
    options: Training
    objectives: Sequence[Objective]
    seed: int
    constraints: Mapping[str, Constraint]
    rules: Sequence[Rule]
    notify: Callable[[Event], None]
    position: Position = field(default_factory=Position)

    def run(self) -> Fitted:
        """Prepare everything once, then go through the epochs."""
        self.holdout = Holdout.open(self.model, self.data, self.options, self.seed)
        train = self.data if self.holdout is None else self.holdout.train
        options = self.options
        self.epochs = Epochs(
            train,
            self.seed,
            options.batch,
            options.shuffle,
            options.balanced,
            options.drop_last,
            options.augment,
            _classes(self.model),
        )
        self.step = self._build()
        self.runner = Runner(self.step, threads=options.threads, provider=options.provider)
        self.best: Mapping[str, Array] = {}
        self._restore()
        while self.position.epoch < options.epochs and not self._done():
            self._epoch()
        return self._fitted()

    def _build(self) -> Step:
        first = next(self.epochs.batches(0), None)
        if first is None:
            raise DataError(f"{self.data.name} has no batch to train on")
        options = self.options
        zeros = kept_zeros(self.model) if options.keep_zeros else {}
        update = Update(
            options.optimizer,
            options.clip_norm,
            options.clip_value,
            options.accumulate,
            options.average,
        )
        plan = Plan(
            choose_parameters(self.model, options.train_layers, options.freeze_layers),
            self.objectives,
            update,
            options.batch_norm == "train",
            {**zeros, **self.constraints},
            self.rules,
        )
        return build_step(self.model, plan, first.labels)

    @property
    def _per_epoch(self) -> int | None:
        """The number of updates in an epoch."""
        batches = self.epochs.steps
        return None if batches is None else ceil(batches / self.options.accumulate)

    @property
    def _total(self) -> int:
        """The number of updates in all; an epoch whose length is unknown counts as what it was."""
        per_epoch = self._per_epoch or max(self.position.updates, 1)
        total = per_epoch * self.options.epochs
        return total if self.options.steps is None else min(total, self.options.steps)

    def _done(self) -> bool:
        limit = self.options.steps
        if limit is not None and self.position.updates >= limit:
            return True
        patience, at = self.options.patience, self.position
        return patience is not None and at.epoch - at.best_epoch >= patience and at.epoch > 0

    def _epoch(self) -> None:
        started = perf_counter()
        at = self.position
        for feeds, last in prefetched(self._feeds(at.epoch, at.batch)):
            self._one(feeds, last=last)
            if self.options.steps is not None and at.updates >= self.options.steps:
                break
            self._maybe_checkpoint()
        losses = {name: total / max(at.batch, 1) for name, total in at.sums.items()}
        score = self._measure()
        measured = {} if score is None else {"score": score}
        at.history.append({"epoch": at.epoch + 1, **losses, **measured})
        self.notify(
            EpochFinished(at.epoch, self.options.epochs, losses, score, perf_counter() - started)
        )
        at.epoch, at.batch, at.sums = at.epoch + 1, 0, {}
        self._checkpoint()

    def _feeds(self, epoch: int, start: int) -> Iterator[tuple[dict[str, Array], bool]]:
        """Return what each batch feeds, and whether it is the last of the epoch."""
        before: dict[str, Array] | None = None
        for index, batch in enumerate(self.epochs.batches(epoch, start), start):
            if before is not None:
                yield before, False
            before = self._read(batch, f"batch {index} of epoch {epoch + 1}")
        if before is not None:
            yield before, True

    def _read(self, batch: Batch, where: str) -> dict[str, Array]:
        feeds = dict(batch.feeds)
        for label in self.step.labels:
            assert batch.labels is not None  # the first batch had some
            feeds[label.name] = label.read(batch.labels, where)
        return feeds

    def _one(self, feeds: dict[str, Array], *, last: bool) -> None:
        """Do one step."""
        at, options = self.position, self.options
        apply = last or (at.batch + 1) % options.accumulate == 0
        rate = options.lr * options.schedule.at(at.updates, self._total, self._per_epoch or 1)
        feeds[RATE] = np.array(rate, np.float32)
        feeds[COUNT] = np.array(at.updates + 1, np.float32)
        if options.accumulate > 1:
            feeds[APPLY] = np.array(apply)
        results = self.runner.run(feeds)
        if not all(map(isfinite, results.values())):
            raise self._went_wrong(feeds, results)
        losses = {_short(n): v for n, v in results.items() if n != NORM}
        for name, loss in losses.items():
            at.sums[name] = at.sums.get(name, 0.0) + loss
        at.batch += 1
        at.updates += apply
        self.notify(
            Trained(at.epoch, options.epochs, at.batch, self.epochs.steps, at.updates, losses, rate)
        )

    def _went_wrong(self, feeds: Feeds, results: Mapping[str, float]) -> OnnxpressError:
        at = self.position
        bad = next(_short(n) if n != NORM else n for n, v in results.items() if not isfinite(v))
        found = first_not_finite(self.step.model, {**self.runner.state_before(), **feeds})
        return OnnxpressError(
            f"training stopped: the {bad} is not finite at update {at.updates + 1} (batch "
            f"{at.batch} of epoch {at.epoch + 1}); the first tensor that went wrong is {found}; try a smaller "
            "learning rate (lr), clip-norm=1, or look at that batch"
        )

    def _measure(self) -> float | None:
        """Score the weights on what is held out, and keep the best."""
        if self.holdout is None:
            return None
        values = self.runner.values()
        named = {name: values[self._result_name(name)] for name in self._results}
        score = self.holdout.score(named)
        at = self.position
        if at.best is None or self.holdout.is_better(score, at.best):
            at.best, at.best_epoch = score, at.epoch + 1
            self.best = self.runner.state()
        return score

    @property
    def _results(self) -> list[str]:
        """The stored tensors of the model that a fit changes."""
        stored = set(self.model.ir.graph.initializers) | set(self.model.parameters)
        return [slot.given for slot in self.step.slots if slot.given in stored]

    def _result_name(self, name: str) -> str:
        """Return the slot that holds what a tensor becomes: its moving average if there is one."""
        average = averaged_name(name)
        return average if any(slot.given == average for slot in self.step.slots) else name

    def _fitted(self) -> Fitted:
        state = self.best or self.runner.state()
        edit = self.model.edit()
        with_results(edit.ir, {name: state[self._result_name(name)] for name in self._results})
        trained = tuple(n for n in self._results if n in self.model.parameters)
        last = not self.best or self.position.best_epoch == self.position.epoch
        return Fitted(
            edit.done(),
            tuple(self.position.history),
            trained,
            self.step.unused,
            None if last else self.position.best_epoch,
        )

    def _made_by(self) -> dict[str, str]:
        asked = self.options.model_dump(mode="json", exclude=set(_VOLATILE), fallback=str)
        return {
            "model": fingerprint(self.step.slots),
            "data": f"{self.data.name} ({self.data.samples} samples)",
            "objective": json.dumps([o.model_dump(mode="json") for o in self.objectives]),
            "seed": str(self.seed),
            **{key: json.dumps(value) for key, value in asked.items()},
        }

    def _restore(self) -> None:
        path = self.options.checkpoint
        found = None if path is None else read_checkpoint(path, self._made_by())
        if found is not None:
            self.position, self.best = found.position, found.best
            self.runner.restore(found.state)

    def _maybe_checkpoint(self) -> None:
        every = self.options.checkpoint_every
        if every is not None and self.position.updates % every == 0:
            self._checkpoint()

    def _checkpoint(self) -> None:
        path = self.options.checkpoint
        if path is not None:
            made_by, state = self._made_by(), self.runner.state()
            Checkpoint(made_by, self.position, state, self.best).save(path)


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
