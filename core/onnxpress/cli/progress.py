"""Bars for what takes longer than a second."""

from __future__ import annotations

from threading import Timer
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from onnxpress.events import EpochFinished, Event, StepFinished, StepStarted, Trained
from onnxpress.events import Progress as Progressed

_PATIENCE: Final = 1.0  # seconds without bars


class Bars:
    """A bar for every task that is under way.

    Args:
        enabled: Whether anything is shown at all.
    """

    def __init__(self, *, enabled: bool) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
        )
        self._progress = Progress(
            *columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True
        )
        self._timer = Timer(_PATIENCE, self._progress.start)
        self._timer.daemon = True
        self._enabled = enabled
        self._tasks: dict[str, TaskID] = {}
        self._loss, self._batches = 0.0, 0  # of the epoch that is shown

    def __enter__(self) -> Self:
        if self._enabled:
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._enabled:
            self._timer.cancel()
            self._timer.join()
        if self._progress.live.is_started:
            self._progress.stop()

    def notify(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, StepStarted):
            self._show(f"step {event.index + 1} of {event.total}: {event.name}", 0, None)
        elif isinstance(event, StepFinished):
            for label in list(self._tasks):  # its tasks of unknown length end with it
                self._drop(label)
        elif isinstance(event, Progressed):
            self._show(event.label, event.done, event.total)
        elif isinstance(event, Trained):
            self._train(event)
        elif isinstance(event, EpochFinished):
            self._drop(_epoch(event))

    def _train(self, event: Trained) -> None:
        """Show how far an epoch has come; the loss is the average over its batches so far."""
        if event.batch == 1 or _epoch(event) not in self._tasks:
            self._loss, self._batches = 0.0, 0
        self._loss += event.losses["loss"]
        self._batches += 1
        said = f"loss {self._loss / self._batches:.4g}, rate {event.learning_rate:.2g}"
        self._show(_epoch(event), event.batch, event.batches, said, keep=True)

    def _show(
        self, label: str, done: int, total: int | None, said: str = "", *, keep: bool = False
    ) -> None:
        if done == total and not keep:
            self._drop(label)
            return
        if label not in self._tasks:
            self._tasks[label] = self._progress.add_task(label, total=None, count="")
        count = f"{done:,} of {total:,}" if total else f"{done:,}" if done else ""
        text = f"{count}  {said}" if said else count
        self._progress.update(self._tasks[label], completed=done, total=total, count=text)

    def _drop(self, label: str) -> None:
        task = self._tasks.pop(label, None)
        if task is not None:
            self._progress.remove_task(task)


def _epoch(event: Trained | EpochFinished) -> str:
    return f"epoch {event.epoch + 1} of {event.epochs}"
