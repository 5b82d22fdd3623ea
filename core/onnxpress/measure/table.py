"""A benchmark as a table for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from onnxpress.measure.results import Benchmark

_WIDTH: Final = 100
_NOISY: Final = 0.1
_TIMES: Final = "×"

Result: TypeAlias = Mapping[str, Any]


def as_text(benchmark: Benchmark) -> str:
    """Return the table as plain text, 100 columns wide."""
    console = Console(width=_WIDTH, no_color=True, highlight=False)
    with console.capture() as capture:
        console.print(as_table(benchmark))
    return capture.get()


def as_table(benchmark: Benchmark) -> Group:
    """Return the table, the reasons of what failed below it, and what it was measured on."""
    results = benchmark.results
    names = dict(zip((r["model"] for r in results), short_names(results), strict=True))
    table = Table(box=None, padding=(0, 1), header_style="bold")
    columns = [c for c in _COLUMNS if any(c.cell(r) for r in results)]
    if len({r["runtime"] for r in results}) == 1:
        columns = [c for c in columns if c.title != "runtime"]
    table.add_column("model", overflow="fold")
    for column in columns:
        table.add_column(column.title, justify="right", no_wrap=True)
    for result in results:
        table.add_row(names[result["model"]], *(column.cell(result) for column in columns))
    failures = [_failure(result, names) for result in results if not result["ok"]]
    return Group(table, *failures, *_notes(benchmark))


class _Column:
    def __init__(self, title: str, cell: Callable[[Result], str]) -> None:
        self.title = title
        self.cell = cell


def _latency(result: Result) -> str:
    if not result["ok"]:
        return "failed"
    times = result["latency_ms"]
    return "" if times is None else " ".join(_short(times[k]) for k in ("median", "p90", "p99"))


def _speed(result: Result) -> str:
    ratio = result["ratio_to_first"]
    if ratio["latency"] is None:
        return ""
    interval = ratio["latency_interval"]
    bounds = f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else ""
    return f"{ratio['latency']:.2f}{_TIMES}{bounds}"


def _size(result: Result) -> str:
    return _megabytes(result["bytes_stored"] / 1e6)


def _size_ratio(result: Result) -> str:
    ratio = result["ratio_to_first"]["size"]
    return "" if ratio is None else f"{ratio:.2f}{_TIMES}"


def _load(result: Result) -> str:
    return "" if result["load_ms"] is None else _short(result["load_ms"])


def _memory(result: Result) -> str:
    return "" if result["peak_memory_mb"] is None else _megabytes(result["peak_memory_mb"])


def _accuracy(result: Result) -> str:
    score = result["accuracy"]
    if score is None:
        return ""
    share = score["name"].startswith("top-")
    value = f"{score['value'] * 100:.2f} %" if share else f"{score['value']:.4g}"
    return f"{score['name']} {value}"


def _difference(result: Result) -> str:
    found = result["output_difference"]
    return "" if found is None else f"{found['relative_l2'] * 100:.2g} %"


_COLUMNS: Final = (
    _Column("runtime", lambda result: str(result["runtime"])),
    _Column("ms: median p90 p99", _latency),
    _Column("to first [95 %]", _speed),
    _Column("MB", _size),
    _Column("to first", _size_ratio),
    _Column("load ms", _load),
    _Column("peak MB", _memory),
    _Column("score", _accuracy),
    _Column("diff", _difference),
)


def short_names(results: Sequence[Result]) -> list[str]:
    """Return the models' names, as short as they can be told apart: file names, else all of it."""
    full = [str(result["model"]) for result in results]
    short = {name: PurePath(name).name for name in full}
    unique = len(set(short.values())) == len(short)
    return [short[name] if unique else name for name in full]


def _failure(result: Result, names: Mapping[str, str]) -> Text:
    who = f"{names[result['model']]} on {result['runtime']}"
    return Text(f" {who} failed: {result['reason']}", style="red")


def _notes(benchmark: Benchmark) -> list[Text]:
    results, cpu = benchmark.results, benchmark.environment["cpu"]
    threads = ", ".join(str(n) for n in sorted({r["threads"] for r in results}))
    features = ", ".join(f for f in cpu["features"] if f not in {"AVX2", "FMA", "F16C"})
    notes = [Text(f" {cpu['name']} ({features}), {threads} threads", style="dim")]
    noise = max((r["noise"] or 0.0 for r in results), default=0.0)
    if noise > _NOISY:
        notes.append(
            Text(
                f" Rounds differed by {noise:.0%}: something else was running here, and the "
                "latencies are less certain than they look; the ratios say how sure they are.",
                style="yellow",
            )
        )
    if unreal := sorted({r["runtime"] for r in results if r["timing"] == "emulated"}):
        notes.append(Text(f" Times of {', '.join(unreal)} are emulated.", style="yellow"))
    return notes


def _short(milliseconds: float) -> str:
    """Three significant digits, and no exponents."""
    decimals = 0 if milliseconds >= 100 else 1 if milliseconds >= 10 else 2  # noqa: PLR2004
    return f"{milliseconds:.{decimals if milliseconds >= 0.1 else 4}f}"  # noqa: PLR2004


def _megabytes(megabytes: float) -> str:
    return f"{megabytes:.3g}" if megabytes < 1000 else f"{megabytes:.0f}"  # noqa: PLR2004
