"""What a transform may use besides the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from onnxpress.contract import Changed, Declined
from onnxpress.errors import UsageError
from onnxpress.events import Event, Progress

if TYPE_CHECKING:
    from onnxpress.data.batch import Data
    from onnxpress.plugins import Plugins
    from onnxpress.rules import Rule

T = TypeVar("T")


def _ignore(_event: Event) -> None:
    """Tell nobody."""


@dataclass
class Job:
    """Data, seed and rules for one step, and the place where it says what it did.

    Attributes:
        data: What the step may calibrate or train on.
        seed: Where all randomness of the step comes from.
        rules: Rules of plugins for the tables of core and of other plugins.
        notify: Told of every event.
        changed: What the step did so far.
        declined: What it left alone so far, with reasons.
        plugins: Where objectives are looked up; all that are installed if None.
        summary: What the step did in one line, where that says more than a count of changes.
    """

    data: Data | None = None
    seed: int = 0
    rules: tuple[Rule, ...] = ()
    notify: Callable[[Event], None] = _ignore
    changed: list[Changed] = field(default_factory=list)
    declined: list[Declined] = field(default_factory=list)
    plugins: Plugins | None = None
    summary: str = ""

    def change(self, subject: str, **details: Any) -> None:
        """Report what was done to `subject` (a layer, a tensor), with figures."""
        self.changed.append(Changed(subject, details))

    def decline(self, subject: str, reason: str) -> None:
        """Report that `subject` was left as it is, and why, in words for a user."""
        self.declined.append(Declined(subject, reason))

    def require_data(self, step: str) -> Data:
        """Return the data, or raise an error that says how to give some.

        Raises:
            UsageError: If the job has no data.
        """
        if self.data is None:
            raise UsageError(f"{step} needs data; give some with --data, or data=… in Python")
        return self.data

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Go through `items`, telling observers how far it has come."""
        self.notify(Progress(label, 0, total))
        for done, item in enumerate(items, start=1):
            yield item
            self.notify(Progress(label, done, total))
