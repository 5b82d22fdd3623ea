"""``convert``: any source that an importer accepts, as an .onnx file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxpress.cli.arguments import Output, Quiet
from onnxpress.cli.screen import Screen
from onnxpress.errors import UsageError


def convert(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="What to read.", show_default=False)
    ],
    output: Output = None,
    *,
    importer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who reads it, if not whoever accepts it.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Read a model of any known format and write it as .onnx, at the working opset."""
    from onnxpress.graph.write import check_target
    from onnxpress.importing import load
    from onnxpress.plugins import Plugins

    if output is None:
        raise UsageError(f"say where to write the model, such as -o {Path(source).stem}-new.onnx")
    model = load(source, importer=importer, plugins=Plugins.discover())
    check_target(model, output)
    model.save(output)
    origin = model.provenance.source.get("opset", model.opset)
    Screen(quiet=quiet).say(f"wrote {output}: opset {model.opset}, made of opset {origin}")
