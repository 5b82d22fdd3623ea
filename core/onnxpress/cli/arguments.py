"""Arguments and options that several verbs have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Model: TypeAlias = Annotated[
    str, typer.Argument(metavar="MODEL", help="The model: an .onnx file.", show_default=False)
]
Output: TypeAlias = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="OUT", help="The .onnx file to write.")
]
Data: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="What steps calibrate and train on: path:input=array?limit=N&scale=1/255&…, a folder "
        "of images, or package.module:callable.",
    ),
]
Validation: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC", help="What the metric is measured on: path:input=array,labels=array?…"
    ),
]
MeasuredData: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="What to run the models on: path:input=array,labels=array?…; else random.",
    ),
]
Metric: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="How to score: top-1, top-5, mse, cosine or package.module:callable."
    ),
]
Dims: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--dim", metavar="NAME=N", help="The size of a symbolic dimension of the inputs."),
]
Seed: TypeAlias = Annotated[
    int | None,
    typer.Option(metavar="N", help="Where all randomness comes from.", show_default="0"),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Verbose: TypeAlias = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print what was done to every layer.")
]
