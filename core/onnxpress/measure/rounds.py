"""Taking turns: every model is timed in every round, so that what changes hits all alike.

Rounds are spread over several launches, each with fresh processes.  Where a process
happens to have its code and data in memory can make a model faster or slower, by some
tenths of a percent, for as long as it lives; more rounds in one process would only
measure that luck more precisely (Kalibera & Jones, Rigorous Benchmarking in Reasonable
Time, ISMM 2013).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from onnxpress.events import Event, Progress
from onnxpress.measure.estimates import LEAST_ROUNDS

if TYPE_CHECKING:
    from onnxpress.measure.contender import Contender

_ROUNDS: Final = 24
_LAUNCHES: Final = 8
_LAUNCHING: Final = 1.5  # of the time that timing takes, all launches of a model together
_WARM_UP: Final = 0.1  # the same, of one launch
_LONGEST_WARM_UP: Final = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often.

    Attributes:
        seconds: How long every model is timed, all rounds together.
        rounds: How many rounds; None takes 24, or as few as 6 where single runs are long.
        launches: Over how many launches they are spread; None takes 8, or as many as do
            not take too long.
        timeout: Seconds after which a process that does not answer has failed.
        seed: Where the order within rounds comes from.
    """

    seconds: float
    rounds: int | None
    launches: int | None
    timeout: float
    seed: int


@dataclass(frozen=True, slots=True)
class _Field:
    """Everybody who takes part, and what is the same for all of them."""

    contenders: Sequence[Contender]
    plan: Plan
    folder: Path
    notify: Callable[[Event], None]


def measure(
    contenders: Sequence[Contender], plan: Plan, folder: Path, notify: Callable[[Event], None]
) -> None:
    """Launch and time all contenders; only one of them runs at any time.

    Their last processes stay up, for running data.
    """
    everybody = _Field(contenders, plan, folder, notify)
    _launch(everybody, range(len(contenders)), "warming up")
    timed = [one for one in contenders if one.alive and one.case.timing != "none"]
    if timed:
        _take_turns(_Field(timed, plan, folder, notify))


def _take_turns(field: _Field) -> None:
    launches, rounds = _schedule(field)
    turns = orders(len(field.contenders), rounds, field.plan.seed)
    launched = 0
    for done, order in enumerate(turns):
        field.notify(Progress("timing", done, rounds))
        if done * launches // rounds > launched:
            launched += 1
            _launch(field, order)
        for i in order:
            one = field.contenders[i]
            one.attempt(partial(one.time, field.plan.seconds / rounds))
    field.notify(Progress("timing", rounds, rounds))


def _launch(field: _Field, order: Sequence[int], label: str = "") -> None:
    warm_up = min(_LONGEST_WARM_UP, field.plan.seconds * _WARM_UP)
    for done, i in enumerate(order):
        if label:
            field.notify(Progress(label, done, len(order)))
        one = field.contenders[i]
        one.attempt(partial(one.launch, field.folder, field.plan.timeout, warm_up))
    if label:
        field.notify(Progress(label, len(order), len(order)))


def _schedule(field: _Field) -> tuple[int, int]:
    """Return the number of launches and of rounds, from how long the first launch took."""
    plan = field.plan
    rounds = plan.rounds or fitting_rounds(plan.seconds, max(c.latency for c in field.contenders))
    slowest = max(c.launch_seconds for c in field.contenders)
    launches = plan.launches or fitting_launches(plan.seconds, slowest)
    return min(launches, rounds), rounds


def fitting_rounds(seconds: float, latency: float) -> int:
    """Return 24, or as few as an interval needs where one run of the slowest takes long."""
    return max(LEAST_ROUNDS, min(_ROUNDS, int(seconds / latency)))


def fitting_launches(seconds: float, launch: float) -> int:
    """Return 8, or as many as take at most half as long again as timing; at least one."""
    return max(1, min(_LAUNCHES, int(seconds * _LAUNCHING / launch)))


def orders(count: int, rounds: int, seed: int) -> Iterator[Sequence[int]]:
    """Yield the order of each round, at random, but nobody twice in a row.

    So nobody always follows the same other, and a disturbance that outlasts a turn
    does not hit two turns of one model on end.
    """
    rng = np.random.default_rng(seed)
    last = -1
    for _ in range(rounds):
        order = rng.permutation(count).tolist()
        if order[0] == last:
            order = order[::-1]
        last = order[-1]
        yield order
