"""Taking turns: every model is timed in every round, so that what changes hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from onnxpress.events import Event, Progress
from onnxpress.measure.estimates import LEAST_ROUNDS

if TYPE_CHECKING:
    from onnxpress.measure.contender import Contender

_ROUNDS: Final = 20
_LONGEST_WARM_UP: Final = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often.

    Attributes:
        seconds: How long every model is timed, all rounds together.
        rounds: How many rounds; None takes 20, or as few as 6 where single runs are long.
        timeout: Seconds after which a process that does not answer has failed.
        seed: Where the order within rounds comes from.
    """

    seconds: float
    rounds: int | None
    timeout: float
    seed: int


def measure(
    contenders: Sequence[Contender],
    plan: Plan,
    stack: ExitStack,
    folder: Path,
    notify: Callable[[Event], None],
) -> None:
    """Start, warm up and time all contenders; only one of them runs at any time.

    Their processes stay up, for running data, until `stack` closes.
    """
    for done, one in enumerate(contenders):
        notify(Progress("warming up", done, len(contenders)))
        one.attempt(partial(one.start, stack, folder, plan.timeout))
        one.attempt(partial(one.warm_up, min(_LONGEST_WARM_UP, plan.seconds / 3)))
    notify(Progress("warming up", len(contenders), len(contenders)))
    timed = [one for one in contenders if one.alive and one.case.timing != "none"]
    if timed:
        _take_turns(timed, plan, notify)


def _take_turns(timed: Sequence[Contender], plan: Plan, notify: Callable[[Event], None]) -> None:
    rounds = plan.rounds or _fitting_rounds(plan.seconds, max(one.latency for one in timed))
    for done, order in enumerate(orders(len(timed), rounds, plan.seed)):
        notify(Progress("timing", done, rounds))
        for i in order:
            timed[i].attempt(partial(timed[i].time, plan.seconds / rounds))
    notify(Progress("timing", rounds, rounds))


def _fitting_rounds(seconds: float, latency: float) -> int:
    """Return 20, or as few as an interval needs where the slowest would take too long."""
    return max(LEAST_ROUNDS, min(_ROUNDS, int(seconds / latency)))


def orders(count: int, rounds: int, seed: int) -> Iterator[Sequence[int]]:
    """Yield the order of each round: one at random, then the same backwards, and so on.

    So nobody owes anything to who ran just before, and a steady drift cancels out.
    """
    rng = np.random.default_rng(seed)
    order: list[int] = []
    for index in range(rounds):
        order = order[::-1] if index % 2 else rng.permutation(count).tolist()
        yield order
