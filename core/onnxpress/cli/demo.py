"""``demo``: the main job on real data that ships with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxpress.cli.arguments import AsJson
from onnxpress.cli.screen import Screen, console


def demo(
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Where to put the files; else a temporary one."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prune, quantize and measure a real classifier on real images, in under a minute."""
    from onnxpress.demo import run_demo

    screen = Screen(as_json)
    printing = console(quiet=as_json)
    with screen.working() as notify:
        made = run_demo(output, printing, notify)
    if as_json:
        screen.dump(
            {
                "folder": str(made.folder),
                "report": made.result.report.to_dict(),
                "benchmark": made.benchmark.to_dict(),
            }
        )
