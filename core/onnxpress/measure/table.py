"""A benchmark as a table for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from onnxpress.measure.results import Benchmark

_NOISY: Final = 0.1
_BUSY: Final = 0.5  # processes wanting to run, for each CPU
_TENTH: Final = 0.1
_LEAST_PERCENT: Final = 0.01
_MOST_DECIMALS: Final = 4
_TIMES: Final = "×"

Result: TypeAlias = Mapping[str, Any]


def as_table(benchmark: Benchmark) -> Group:
    """Return the table, the reasons of what failed below it, and what it was measured on."""
    results = benchmark.results
    names = dict(zip((r["model"] for r in results), short_names(results), strict=True))
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("model", overflow="fold")
    columns = _columns(results)
    for title in columns:
        table.add_column(title, justify="right", no_wrap=True)
    for result in results:
        cells = [names[result["model"]], *(cell(result) for cell in columns.values())]
        table.add_row(*map(Text, cells))  # not plain strings, in which [b] would mean bold
    failures = [_failure(result, names) for result in results if not result["ok"]]
    return Group(table, *failures, *_notes(benchmark))


def _columns(results: Sequence[Result]) -> dict[str, Callable[[Result], str]]:
    """Return how to fill each column, by title; columns that would be empty are left out."""
    metrics = [result["accuracy"]["name"] for result in results if result["accuracy"]]
    columns: dict[str, Callable[[Result], str]] = {
        "runtime": lambda result: str(result["runtime"]),
        "ms: median p90": _latency,
        "to first [95 %]": _speed,
        "file MB": _size,
        "ratio": _size_ratio,
        "load ms": _load,
        "peak MB": _memory,
        metrics[0] if metrics else "": _accuracy,
        "diff": _difference,
    }
    if len({result["runtime"] for result in results}) == 1:
        del columns["runtime"]
    return {title: cell for title, cell in columns.items() if any(map(cell, results))}


def _latency(result: Result) -> str:
    if not result["ok"]:
        return "failed"
    times = result["latency_ms"]
    return "" if times is None else " ".join(_short(times[key]) for key in ("median", "p90"))


def _speed(result: Result) -> str:
    ratio = result["ratio_to_first"]
    if ratio["latency"] is None:
        return ""
    interval = ratio["latency_interval"]
    bounds = f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else ""
    return f"{ratio['latency']:.2f}{_TIMES}{bounds}"


def _size(result: Result) -> str:
    return _short(result["bytes_stored"] / 1e6)


def _size_ratio(result: Result) -> str:
    ratio = result["ratio_to_first"]["size"]
    return "" if ratio is None else f"{ratio:.2f}{_TIMES}"


def _load(result: Result) -> str:
    return "" if result["load_ms"] is None else _short(result["load_ms"])


def _memory(result: Result) -> str:
    return "" if result["peak_memory_mb"] is None else _short(result["peak_memory_mb"])


def _accuracy(result: Result) -> str:
    score = result["accuracy"]
    if score is None:
        return ""
    share = score["name"].startswith("top-")
    return f"{score['value'] * 100:.2f} %" if share else f"{score['value']:.4g}"


def _difference(result: Result) -> str:
    found = result["output_difference"]
    if found is None or found["relative_l2"] is None:
        return ""
    percent = found["relative_l2"] * 100
    return "< 0.01 %" if 0 < percent < _LEAST_PERCENT else f"{percent:.2g} %"


def short_names(results: Sequence[Result]) -> list[str]:
    """Return the models' names, as short as they can be told apart: file names, else all of it."""
    full = [str(result["model"]) for result in results]
    short = {name: PurePath(name).name for name in full}
    unique = len(set(short.values())) == len(short)
    return [short[name] if unique else name for name in full]


def _failure(result: Result, names: Mapping[str, str]) -> Text:
    who = f"{names[result['model']]} on {result['runtime']}"
    return Text(f"{who} failed: {result['reason']}", style="red")


def _notes(benchmark: Benchmark) -> list[Text]:
    results, cpu = benchmark.results, benchmark.environment["cpu"]
    threads = ", ".join(str(n) for n in sorted({r["threads"] for r in results}))
    features = ", ".join(cpu["features"])
    notes = [Text(f"Threads: {threads}. {cpu['name']} ({features})", style="dim")]
    return notes + [Text(warning, style="yellow") for warning in _warnings(benchmark)]


def _warnings(benchmark: Benchmark) -> Iterator[str]:
    results, environment = benchmark.results, benchmark.environment
    load, cores = environment["load_average"] or 0.0, environment["cpu"]["cores"]["usable"]
    if load > cores * _BUSY:
        yield (
            f"The machine was busy before this began (load {load:g} on {cores} CPUs). Latencies "
            "are those of a busy machine; with several threads they can be many times longer."
        )
    noise = max((result["noise"] or 0.0 for result in results), default=0.0)
    if noise > _NOISY:
        yield (
            f"Rounds differed by {noise:.0%}: something else was running here, and the latencies "
            "are less certain than they look; the ratios say how sure they are."
        )
    if emulated := sorted({r["runtime"] for r in results if r["timing"] == "emulated"}):
        yield f"Times of {', '.join(emulated)} are emulated."


def _short(value: float) -> str:
    """Three significant digits, four decimals at most, and no exponent."""
    whole = len(str(int(value))) if value >= 1 else 1
    decimals = max(0, 3 - whole) if value >= _TENTH else _MOST_DECIMALS
    return f"{value:.{decimals}f}"
