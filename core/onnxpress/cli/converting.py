"""``convert``: any source that an importer accepts, as an .onnx file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxpress.cli.arguments import Output, Quiet
from onnxpress.cli.screen import Screen
from onnxpress.errors import UsageError

if TYPE_CHECKING:
    from onnxpress.graph.model import Model


def convert(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="What to read.", show_default=False)
    ],
    output: Output = None,
    *,
    importer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who reads it, if not whoever accepts it.")
    ] = None,
    dynamic_batch: Annotated[
        bool,
        typer.Option(
            "--dynamic-batch", help="Let it take any number of samples, and prove the result."
        ),
    ] = False,
    batch_axis: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=AXIS",
            help="Which axis of an input counts samples, if not the first; may be repeated.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Read a model of any known format and write it as .onnx, at the working opset."""
    from onnxpress.graph.write import check_target
    from onnxpress.importing import load
    from onnxpress.plugins import Plugins

    if output is None:
        raise UsageError(f"say where to write the model, such as -o {Path(source).stem}-new.onnx")
    axes = _axes(batch_axis or [], wanted=dynamic_batch)
    model = load(source, importer=importer, plugins=Plugins.discover())
    check_target(model, output)
    free = _with_free_batch(model, axes) if dynamic_batch else model
    free.save(output)
    origin = model.provenance.source.get("opset", model.opset)
    screen = Screen(quiet=quiet)
    screen.say(f"wrote {output}: opset {model.opset}, made of opset {origin}")
    if dynamic_batch:
        screen.say(_said(model, free))


def _with_free_batch(model: Model, axes: Mapping[str, int]) -> Model:
    from onnxpress.graph.dynamic import make_batch_dynamic

    return make_batch_dynamic(model, axes)


def _said(model: Model, free: Model) -> str:
    if free is model:
        return "its batch size was free already"
    from onnxpress.data.signature import Signature

    listed = ", ".join(f"{i.name}: {i}" for i in Signature.of(free).inputs)
    return f"it takes any number of samples now ({listed}); batches give what single samples give"


def _axes(written: Sequence[str], *, wanted: bool) -> dict[str, int]:
    """Read ``NAME=AXIS``."""
    if written and not wanted:
        raise UsageError("--batch-axis is for --dynamic-batch; give both")
    axes: dict[str, int] = {}
    for text in written:
        name, _, axis = text.rpartition("=")
        if not name or not axis.isdecimal():
            raise UsageError(f"--batch-axis {text}: write NAME=AXIS, such as state=1")
        axes[name] = int(axis)
    return axes
