"""``compress``, and ``prune`` and ``quantize``, which are the same with one default step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from onnxpress.cli.arguments import (
    AsJson,
    Data,
    Metric,
    Model,
    Output,
    Quiet,
    Seed,
    Validation,
    Verbose,
)
from onnxpress.cli.order import Order, carry_out

STEP_VERBS: Final[Mapping[str, str]] = {
    "prune": "magnitude-pruning",
    "quantize": "linear-quantization",
    "finetune": "finetune",
    "train": "train",
}
"""Verbs and the step that each of them stands for."""


def compress(  # noqa: PLR0913
    model: Model,
    output: Output = None,
    *,
    recipe: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Steps and settings: .toml, .yaml, or a .json report."),
    ] = None,
    step: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="A step: name:key=value,key=value; may be repeated."),
    ] = None,
    data: Data = None,
    validation: Validation = None,
    metric: Metric = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Refuse a result whose metric is worse by more than this (0.01: one point).",
        ),
    ] = None,
    seed: Seed = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report as .json.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; write nothing.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Run the steps of a recipe on a model, and report what became of it."""
    carry_out(
        Order(
            verb="compress",
            model=model,
            output=output,
            steps=step or [],
            recipe=recipe,
            data=data,
            validation=validation,
            metric=metric,
            max_drop=max_drop,
            seed=seed,
            report=report,
            dry_run=dry_run,
            as_json=as_json,
            verbose=verbose,
            quiet=quiet,
        )
    )


# These stand in the list of verbs; `step_verbs` makes what is run of `compress` and the step.


def prune() -> None:
    """Set the least important weights of a model to zero."""


def quantize() -> None:
    """Store and compute a model in 8-bit integers."""


def finetune() -> None:
    """Train the weights of a model a little further."""


def train() -> None:
    """Train a model from random weights."""
