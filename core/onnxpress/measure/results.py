"""What a benchmark found, as records; the keys are those of ``benchmark --json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from onnxpress.measure.contender import Case, Contender
from onnxpress.measure.cpus import choose_cpus
from onnxpress.measure.estimates import CONFIDENCE, latency_ms, paired_ratio, spread

if TYPE_CHECKING:
    from rich.console import RenderableType

    from onnxpress.measure.scoring import Score

_TIMES: Final = (
    "latency_ms",
    "throughput",
    "runs",
    "rounds",
    "launches",
    "noise",
    "round_medians_ms",
)


@dataclass(frozen=True)
class Benchmark:
    """What came of a benchmark; print it, or take `to_dict`.

    Attributes:
        results: One entry for every model on every runtime, in the order asked for, models
            within runtimes; ``docs/benchmark.md`` says what each key means.
        environment: What it was measured on.
        settings: What it was asked for: seconds, rounds, seed.
    """

    results: Sequence[Mapping[str, Any]]
    environment: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every model could be measured on every runtime."""
        return all(result["ok"] for result in self.results)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, JSON-ready."""
        return {
            "results": [dict(result) for result in self.results],
            "environment": dict(self.environment),
            "settings": dict(self.settings),
        }

    def __str__(self) -> str:
        from onnxpress.measure.table import as_table
        from onnxpress.plain_text import plain_text

        return plain_text(as_table(self))

    def __rich__(self) -> RenderableType:
        from onnxpress.measure.table import as_table

        return as_table(self)


def result(one: Contender, first: Contender, score: Score | None) -> dict[str, Any]:
    """Return the entry of one contender, beside the first model on the same runtime.

    Every key is there in every entry; what was not or could not be measured is None.
    Latencies are compared per sample, in case the models take fixed and different numbers
    of them.
    """
    case = one.case
    compared = score if one.alive and one is not first and first.alive else None
    return {
        "model": case.model,
        "runtime": case.runtime,
        "ok": one.alive,
        "reason": one.failure or None,
        "timing": case.timing,
        **_times(one),
        "ratio_to_first": _ratio_to_first(one, first),
        "load_ms": _median([seconds * 1e3 for seconds in one.load_seconds]),
        "peak_memory_mb": _median(one.peak_memory_mb),
        "base_memory_mb": _median(one.base_memory_mb),
        "bytes_stored": case.bytes_stored,
        "accuracy": score.accuracy() if score and one.alive else None,
        "output_difference": compared.difference.to_dict() if compared else None,
        "threads": case.threads,
        "cpus": list(choose_cpus(case.threads)),
        "batch": case.batch,
        "inputs": {name: list(shape) for name, shape in case.inputs.items()},
        "details": dict(one.details),
    }


def _times(one: Contender) -> dict[str, Any]:
    if not one.alive or not one.rounds:
        return dict.fromkeys(_TIMES)
    runs = list(chain.from_iterable(one.rounds))
    medians = _medians(one)
    return {
        "latency_ms": latency_ms(runs),
        "throughput": round(one.case.batch * len(runs) / (sum(runs) / 1e9), 3),
        "runs": len(runs),
        "rounds": len(one.rounds),
        "launches": len(set(one.launch_of_round)),
        "noise": round(spread(medians), 6),
        "round_medians_ms": [round(median / 1e6, 6) for median in medians],
    }


def _ratio_to_first(one: Contender, first: Contender) -> dict[str, Any]:
    size = _size_ratio(one.case, first.case)
    nothing = {"latency": None, "latency_interval": None, "size": size, "confidence": CONFIDENCE}
    if not (one.alive and first.alive and one.rounds and first.rounds):
        return nothing
    ratio = paired_ratio(_per_sample(one), _per_sample(first), one.launch_of_round)
    interval = ratio.interval and [round(bound, 6) for bound in ratio.interval]
    return {**nothing, "latency": round(ratio.value, 6), "latency_interval": interval}


def _size_ratio(case: Case, first: Case) -> float | None:
    return round(case.bytes_stored / first.bytes_stored, 6) if first.bytes_stored else None


def _per_sample(one: Contender) -> list[float]:
    return [median / one.case.batch for median in _medians(one)]


def _medians(one: Contender) -> list[float]:
    """The median of each round, in nanoseconds per batch."""
    return [float(np.median(times)) for times in one.rounds]


def _median(values: Sequence[float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return round(float(np.median(known)), 3) if known else None
