"""`benchmark`: models × runtimes, each in a process of its own, all under the one stopwatch."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from onnxpress.errors import OnnxpressError, OptionError, UsageError
from onnxpress.events import Benchmarked, Event
from onnxpress.measure.contender import Case, Contender
from onnxpress.measure.cpus import default_threads
from onnxpress.measure.environment import environment
from onnxpress.measure.results import Benchmark, result
from onnxpress.measure.rounds import Plan, measure
from onnxpress.measure.scoring import Score, score
from onnxpress.measure.subjects import Source, Subject, subjects

if TYPE_CHECKING:
    from onnxpress.contract import Runtime
    from onnxpress.data.batch import Array, Data
    from onnxpress.graph.model import Model
    from onnxpress.metrics import Metric
    from onnxpress.plugins import Plugins

SECONDS: Final = 3.0
TIMEOUT: Final = 300.0
_MOST_ROUNDS: Final = 1000


def benchmark(  # noqa: PLR0913  # one entry point, every option with a default
    models: Iterable[Source] | Source,
    runtimes: Sequence[str | type[Runtime]] = ("cpu",),
    data: object = None,
    metric: str | Callable[..., Any] | Metric | None = None,
    *,
    threads: int | None = None,
    seconds: float = SECONDS,
    rounds: int | None = None,
    launches: int | None = None,
    batch: int = 1,
    dims: Mapping[str, int] | None = None,
    timeout: float = TIMEOUT,
    seed: int = 0,
    plugins: Plugins | None = None,
    notify: Callable[[Event], None] = lambda _event: None,
) -> Benchmark:
    """Measure latency, load time, memory and size of models, and accuracy where there is data.

    Every model runs on every runtime in a process of its own, and takes its turn in every
    round.  What goes wrong with one of them costs its entry in the result, no other.

    Args:
        models: Files or models; the first is what the others are compared with.
        runtimes: Names of runtimes, or classes.
        data: What to time the models on (its first samples) and to compare their outputs
            on; with labels, also what to score them on.  Any form of `open_data`.  Without
            it they are timed on random arrays.
        metric: How to score, in any form of `open_metric`; by default ``top-1`` if the labels
            are whole numbers, else ``mse``.
        threads: Threads within a model; by default one per physical core that we may use.
        seconds: How long each model is timed on each runtime, all rounds together.
        rounds: In how many turns; by default 24, or fewer (6 at least) if single runs are long.
        launches: Over how many fresh processes the turns are spread; by default 8, or as many
            as do not take much longer than the timing.
        batch: Samples per run, where the model leaves it open.
        dims: Sizes for other symbolic dimensions of random arrays, as `random_feeds` takes
            them; those not named get sizes with which the model runs.
        timeout: Seconds after which a process that does not answer is ended.
        seed: Where random arrays and the order of turns come from.
        plugins: Where runtimes are looked up; by default what is installed.
        notify: Told of progress and of every entry, as the observers among the plugins are.

    Raises:
        UsageError: If a file, runtime or metric does not exist, or an option is out of range.
        DataError: If the data can't be used.
        OnnxpressError: If none of the runtimes can be used here.
    """
    given = _several(models)
    threads = default_threads() if threads is None else threads
    _check_rounds(rounds=rounds, launches=launches)
    _check(given, threads=threads, seconds=seconds, batch=batch, timeout=timeout)
    if metric is not None and data is None:
        raise UsageError(f"the metric {metric!r} needs data; give some with --data, or data=…")
    plugins = plugins or _installed_plugins()
    places = _places(runtimes, plugins)
    machine = environment()

    def tell(event: Event) -> None:
        notify(event)
        plugins.notify(event)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="onnxpress-")))
        found = subjects(given, folder)
        asked = None if data is None else _question(data, metric, found)
        for subject in found:
            subject.prepare(_samples(asked, batch, dims or {}, seed), batch)
        contenders = [_contender(s, place, threads) for place in places for s in found]
        for one in contenders:
            stack.enter_context(one)
        measure(contenders, Plan(seconds, rounds, launches, timeout, seed), folder, tell)
        scores = _scores(contenders, asked, tell)
        results = _results(contenders, scores)
    for entry in results:
        tell(Benchmarked(entry["model"], entry["runtime"], entry))
    return Benchmark(results, machine, {"seconds": seconds, "rounds": rounds, "seed": seed})


@dataclass(frozen=True, slots=True)
class _Place:
    """A runtime to measure on; `reason` says why it can't be used, if it can't."""

    name: str
    runtime: type[Runtime]
    reason: str


@dataclass(frozen=True, slots=True)
class _Question:
    """What the models are asked, and how their answers are scored."""

    data: Data
    metric: Metric | None
    outputs: Sequence[str]


def _several(models: Iterable[Source] | Source) -> list[Source]:
    if isinstance(models, str | os.PathLike) or not isinstance(models, Iterable):
        return [models]
    return list(models)


def _check(models: Sequence[Source], **numbers: float) -> None:
    if not models:
        raise UsageError("there is no model to measure; give one .onnx file or more")
    for name, value in numbers.items():
        least = 1 if name in {"threads", "batch"} else 0
        if not math.isfinite(value) or value < least or value == 0:
            at_least = f"at least {least}" if least else "above 0"
            raise OptionError(f"{name} is {value}; it must be {at_least}")


def _check_rounds(**numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and not 1 <= value <= _MOST_ROUNDS:
            raise OptionError(f"{name} is {value}; it must be from 1 to {_MOST_ROUNDS}")


def _installed_plugins() -> Plugins:
    from onnxpress.plugins import Plugins

    return Plugins.discover()


def _places(runtimes: Sequence[str | type[Runtime]], plugins: Plugins) -> list[_Place]:
    asked = [runtimes] if isinstance(runtimes, str | type) else dict.fromkeys(runtimes)
    places = [_place(runtime, plugins) for runtime in asked]
    if not places:
        raise UsageError("there is no runtime to measure on; give one, such as 'cpu'")
    if all(place.reason for place in places):
        reasons = "; ".join(f"{place.name}: {place.reason}" for place in places)
        raise OnnxpressError(f"none of the runtimes asked for can be used here: {reasons}")
    return places


def _place(asked: str | type[Runtime], plugins: Plugins) -> _Place:
    runtime = plugins.find_runtime(asked) if isinstance(asked, str) else asked
    if runtime.__module__ == "__main__" or "<locals>" in runtime.__qualname__:
        raise UsageError(
            f"the runtime {runtime.__qualname__} can't be imported by another process; "
            "define it at the top of a module, not in the script or in a function"
        )
    name = asked if isinstance(asked, str) else asked.name
    return _Place(name, runtime, _reason(runtime))


def _reason(runtime: type[Runtime]) -> str:
    """Return why a runtime can't be used here; empty if it can."""
    from onnxpress.offers import probe

    found = probe(runtime)
    return "" if found.usable else found.reason or "it does not say why"


def _question(
    source: object, metric: str | Callable[..., Any] | Metric | None, found: Sequence[Subject]
) -> _Question | None:
    from onnxpress.data import open_data
    from onnxpress.metrics import has_class_labels, open_metric

    model = next((s.model for s in found if s.model is not None), None)
    if model is None:
        return None
    data = open_data(source, model)
    outputs = [value.name or "" for value in model.outputs]
    usual = "top-1" if has_class_labels(data) else "mse"
    wanted = metric or (usual if data.labelled else None)
    if wanted is None:
        return _Question(data, None, outputs)
    opened = open_metric(wanted, outputs)
    if opened.needs == "labels" and not data.labelled:
        raise UsageError(f"{opened.name} needs labels, and {data.name} has none")
    return _Question(data, opened, outputs)


def _samples(
    asked: _Question | None, batch: int, dims: Mapping[str, int], seed: int
) -> Callable[[Model], Mapping[str, Array]]:
    from onnxpress.measure.inputs import first_samples, random_samples

    if asked is not None:
        return partial(first_samples, data=asked.data, batch=batch)
    return partial(random_samples, batch=batch, dims=dims, seed=seed)


def _scores(
    contenders: Sequence[Contender], asked: _Question | None, notify: Callable[[Event], None]
) -> Sequence[Score] | None:
    if asked is None:
        return None
    return score(contenders, asked.data, asked.metric, asked.outputs, notify)


def _contender(subject: Subject, place: _Place, threads: int) -> Contender:
    case = Case(
        model=subject.name,
        path=subject.path,
        bytes_stored=subject.bytes_stored,
        runtime=place.name,
        runtime_class=f"{place.runtime.__module__}:{place.runtime.__qualname__}",
        timing=place.runtime.timing,
        feeds=subject.feeds,
        inputs=subject.inputs,
        batch=subject.batch,
        threads=threads,
    )
    return Contender(case, failure=place.reason or subject.failure)


def _results(
    contenders: Sequence[Contender], scores: Sequence[Score] | None
) -> list[dict[str, Any]]:
    firsts: dict[str, Contender] = {}
    return [
        result(one, firsts.setdefault(one.case.runtime, one), scores[i] if scores else None)
        for i, one in enumerate(contenders)
    ]
