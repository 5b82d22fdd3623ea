"""The verbs, in groups, and what holds for all of them."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from onnxpress.cli import compressing, converting, demo, listing, measuring
from onnxpress.cli.failing import reporting

_MAKE: Final = "Make models smaller and faster"
_LOOK: Final = "Look at models"
_HERE: Final = "What there is"


class Verbs(TyperGroup):
    """Runs a verb; errors become lines and exit codes.

    Verbs with the options of a step are made when they are asked for, so that the list
    of verbs is there without any plugin.
    """

    def invoke(self, ctx: Any) -> Any:
        with reporting():
            result = super().invoke(ctx)
            sys.stdout.flush()  # a broken pipe shows here, and not when Python ends
            return result

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and name in compressing.STEP_VERBS:
            from onnxpress.cli.step_verbs import step_verb

            command = step_verb(name, rest)
        return name, command, rest


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 a run that failed or missed its guard, 2 wrong use.",
)
app.command("compress", rich_help_panel=_MAKE)(compressing.compress)
app.command("prune", rich_help_panel=_MAKE)(compressing.prune)
app.command("quantize", rich_help_panel=_MAKE)(compressing.quantize)
app.command("finetune", rich_help_panel=_MAKE)(compressing.finetune)
app.command("train", rich_help_panel=_MAKE)(compressing.train)
app.command("convert", rich_help_panel=_MAKE)(converting.convert)
app.command("demo", rich_help_panel=_MAKE)(demo.demo)
app.command("inspect", rich_help_panel=_LOOK)(measuring.inspect)
app.command("compare", rich_help_panel=_LOOK)(measuring.compare)
app.command("benchmark", rich_help_panel=_LOOK)(measuring.benchmark)
app.command("plugins", rich_help_panel=_HERE)(listing.plugins)
app.command("runtimes", rich_help_panel=_HERE)(listing.runtimes)


def _version(asked: bool) -> None:  # noqa: FBT001  # typer calls it
    if asked:
        from importlib.metadata import version

        typer.echo(f"onnxpress {version('onnxpress')}")
        raise typer.Exit


@app.callback()
def onnxpress(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Make trained networks smaller and faster, and say honestly what it cost."""
