"""Verbs that look at models and change nothing: ``inspect``, ``compare``, ``benchmark``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer

from onnxpress.cli.arguments import AsJson, Dims, MeasuredData, Metric, Model, Quiet, Seed
from onnxpress.cli.screen import Screen
from onnxpress.errors import OptionError


def inspect(
    model: Model,
    *,
    dim: Dims = None,
    groups: Annotated[
        bool,
        typer.Option("--groups", help="Show which channels must be cut together instead."),
    ] = False,
    heads: Annotated[
        bool,
        typer.Option("--heads", help="With --groups: attention by heads, not by dimensions."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show layers, parameters, multiply-accumulates, zeros, precision and history of a model."""
    from onnxpress.importing import load
    from onnxpress.inspection import inspect as look
    from onnxpress.plugins import Plugins

    if heads and not groups:
        raise OptionError("--heads says how to show --groups; give both")
    plugins = Plugins.discover()
    loaded = load(model, plugins=plugins)
    screen = Screen(as_json)
    if groups:
        from onnxpress.channels import find_channels

        split: Literal["channels", "heads"] = "heads" if heads else "channels"
        screen.show(find_channels(loaded, split=split, rules=plugins.rules))
    else:
        screen.show(look(loaded, _sizes(dim), plugins.rules))


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="The reference.", show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one.", show_default=False)],
    *,
    data: MeasuredData = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Show how far the results of two models are apart, layer by layer where names match."""
    from onnxpress.comparison import compare as look
    from onnxpress.importing import load
    from onnxpress.plugins import Plugins

    plugins = Plugins.discover()
    screen = Screen(as_json)
    with screen.working():
        result = look(load(a, plugins=plugins), load(b, plugins=plugins), data, seed or 0)
    screen.show(result)


def benchmark(  # noqa: PLR0913
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL…",
            help="The models; others are compared with the first.",
            show_default=False,
        ),
    ],
    *,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Where to run them; may be repeated.", show_default="cpu"
        ),
    ] = None,
    data: MeasuredData = None,
    metric: Metric = None,
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", help="Threads per model.", show_default="one per physical core"),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(metavar="X", help="How long to time each model.", show_default="3"),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(metavar="N", help="Samples per run.", show_default="1")
    ] = None,
    dim: Dims = None,
    seed: Seed = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure speed, load time, memory and size of models, and accuracy with labelled data."""
    from onnxpress.benchmarking import benchmark as measure

    given = {"metric": metric, "threads": threads, "seconds": seconds, "batch": batch, "seed": seed}
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    screen = Screen(as_json, quiet)
    with screen.working() as notify:
        result = measure(
            models, runtime or ["cpu"], data, dims=_sizes(dim), notify=notify, **options
        )
    screen.show(result)
    if not all(entry["ok"] for entry in result.results):
        raise typer.Exit(1)


def _sizes(dims: Sequence[str] | None) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for text in dims or ():
        name, _, size = text.rpartition("=")
        if not name or not size.isdecimal():
            raise OptionError(f"--dim {text}: write NAME=N, such as batch=8")
        sizes[name] = int(size)
    return sizes
