"""The guard: a result that lost too much is refused, and the step to blame is named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from onnxpress.errors import GuardError

if TYPE_CHECKING:
    from onnxpress.judging import Judge
    from onnxpress.metrics.evaluation import Score
    from onnxpress.pipeline import Attempt


def guard(
    limit: float, judge: Judge, before: Score, after: Score, attempts: Sequence[Attempt]
) -> None:
    """Refuse a result whose metric is worse by more than `limit`.

    Raises:
        GuardError: With the metric after every step.
    """
    loss = judge.loss(before, after)
    if loss <= limit:
        return
    scores = [*(_score(judge, attempt) for attempt in attempts[:-1]), after]
    lines = []
    for number, (attempt, score) in enumerate(zip(attempts, scores, strict=True), start=1):
        verdict = _verdict(judge.loss(before, score), limit)
        lines.append(f"after step {number}, {attempt.report.name}: {score.value:.5g}, {verdict}")
    raise GuardError(
        f"{after.name} went from {before.value:.5g} to {after.value:.5g}, worse by {loss:.4g}, "
        f"and max-drop allows {limit:g}; nothing was written\n  " + "\n  ".join(lines)
    )


def _score(judge: Judge, attempt: Attempt) -> Score:
    from onnxpress.session import Session

    return judge.score(Session(attempt.model), f"measuring after {attempt.report.name}")


def _verdict(loss: float, limit: float) -> str:
    return f"worse by {loss:.4g}, {'too much' if loss > limit else 'within the limit'}"
