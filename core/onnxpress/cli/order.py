"""Carrying out what ``compress`` and its relatives were asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onnxpress.cli.screen import Screen
from onnxpress.errors import UsageError

if TYPE_CHECKING:
    from onnxpress.compressing import Result
    from onnxpress.recipe import Step


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for; see ``onnxpress compress --help``.

    Attributes:
        verb: Who was asked.
        steps: Steps as texts or tables, after those of the recipe.
    """

    verb: str
    model: str
    output: Path | None
    steps: Sequence[Step]
    recipe: Path | None = None
    data: str | None = None
    validation: str | None = None
    metric: str | None = None
    max_drop: float | None = None
    seed: int | None = None
    report: Path | None = None
    dry_run: bool = False
    as_json: bool = False
    verbose: bool = False
    quiet: bool = False


def carry_out(order: Order) -> None:
    """Check all that can be checked at once, then do the work, then write.

    Raises:
        OnnxpressError: If it can't be done; nothing is written then.
    """
    from onnxpress.compressing import compress, open_recipe
    from onnxpress.graph.write import check_target
    from onnxpress.importing import load
    from onnxpress.plugins import Plugins
    from onnxpress.report import check_report_path

    screen = Screen(order.as_json, order.quiet)
    output = None if order.dry_run and order.output is None else _output(order)
    if order.report:
        check_report_path(order.report)
    plugins = Plugins.discover()
    recipe = open_recipe(order.recipe, plugins).but(
        order.steps,
        plugins,
        data=order.data,
        validation=order.validation,
        metric=order.metric,
        max_drop=order.max_drop,
        seed=order.seed,
    )
    model = load(order.model, plugins=plugins)
    if output:
        check_target(model, output)
    if order.dry_run or output is None:
        from onnxpress.planning import plan

        screen.show(plan(model, recipe, plugins))
        return
    with screen.working() as notify:
        result = compress(model, recipe=recipe, plugins=plugins, notify=notify)
        result.model.save(output)
        if order.report:
            result.report.save(order.report)
    _show(result, screen, verbose=order.verbose)
    screen.say(f"wrote {' and '.join(map(str, filter(None, [output, order.report])))}")


def _output(order: Order) -> Path:
    if order.output is not None:
        return order.output
    endings = {"prune": "pruned", "quantize": "quantized", "finetune": "tuned", "train": "trained"}
    name = f"{Path(order.model).stem}-{endings.get(order.verb, 'small')}.onnx"
    raise UsageError(f"say where to write the result, such as -o {name}")


def _show(result: Result, screen: Screen, *, verbose: bool) -> None:
    screen.show(result.report)
    if verbose:
        from onnxpress.report_table import render_details

        screen.print("", *render_details(result.report.steps))
