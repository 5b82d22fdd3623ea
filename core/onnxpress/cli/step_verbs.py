"""Verbs that have the options of a step as flags, made from the fields of the step."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rich.markup import escape

from onnxpress.cli.compressing import STEP_VERBS, compress
from onnxpress.cli.order import Order, carry_out
from onnxpress.contract import Transform
from onnxpress.errors import UsageError
from onnxpress.plugins import Plugins
from onnxpress.recipe.options import allowed_range, choices, inner_fields, inner_model, kebab
from onnxpress.recipe.spec import parse_spec
from onnxpress.recipe.steps import shown

_PANEL: Final = "Options of the step"
_WITHOUT: Final = frozenset({"recipe", "step"})
_TABLES: Final = (Mapping, BaseModel)
_SEVERAL: Final = (Sequence, Set, *_TABLES)


def step_verb(verb: str, args: Sequence[str]) -> Any:
    """Return the command for a verb, with the options of the step that `args` choose.

    Args:
        verb: ``prune``, ``quantize``.
        args: What was typed after it; ``--step SPEC`` chooses another step.

    Raises:
        UnknownNameError: If there is no such step.
        UsageError: If there are several.
    """
    name, given = parse_spec(_chosen(args) or STEP_VERBS[verb])
    step = Plugins.discover().find_transform(name)
    app = typer.Typer(add_completion=False)
    app.command(verb, help=_help(step))(_function(verb, name, step, given))
    return typer.main.get_command(app)


def _chosen(args: Sequence[str]) -> str | None:
    found = [after for arg, after in pairwise([*args, ""]) if arg == "--step"]
    found += [arg.partition("=")[2] for arg in args if arg.startswith("--step=")]
    if len(found) > 1:
        raise UsageError("there is more than one --step; onnxpress compress takes several")
    return found[0] if found else None


def _help(step: type[Transform]) -> str:
    """Return the docstring; lines are joined to paragraphs, so that they fit any terminal."""
    text = re.sub(r"(?<!\n)\n(?![\n\s*-])", " ", inspect.getdoc(step) or "")
    return escape(text.replace("``", "`"))


def _function(
    verb: str, name: str, step: type[Transform], given: Mapping[str, Any]
) -> Callable[..., None]:
    """Return what typer makes a command of: its signature holds the flags."""
    signature = inspect.signature(compress, eval_str=True)
    common = [p for p in signature.parameters.values() if p.name not in _WITHOUT]
    taken = {p.name for p in common} | {"step", "help"}
    fields = {n: f for n, f in _flagged(step).items() if n not in taken}
    parameters = [*common, _choice(verb), *(_flag(n, f) for n, f in fields.items())]

    def run(**values: Any) -> None:
        values.pop("step")
        typed = {n: value for n in fields if (value := values.pop(n)) is not None}
        flags = {n: _untangled(value, fields[n]) for n, value in typed.items()}
        carry_out(Order(verb=verb, steps=[{"use": name, **given, **flags}], **values))

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _flagged(step: type[Transform]) -> dict[str, FieldInfo]:
    """Return the options that become flags: those of the step, and of the tables inside it."""
    fields = dict(step.model_fields)
    for name, table in inner_fields(step).items():
        fields[name] = inner_model(step.model_fields[table]).model_fields[name]
    return fields


def _untangled(value: Any, field: FieldInfo) -> Any:
    """Return ``KEY=VALUE`` texts as a table where the field wants one."""
    if not (isinstance(value, list) and _all_of(field, _TABLES) and all("=" in v for v in value)):
        return value
    # An option has no = in its name, and a pattern of layers may.
    split = str.partition if _all_of(field, (BaseModel,)) else str.rpartition
    return {key: inner for key, _, inner in (split(text, "=") for text in value)}


def _choice(verb: str) -> inspect.Parameter:
    option = typer.Option(
        metavar="SPEC",
        help=f"Another step than {STEP_VERBS[verb]}: name:key=value,…; its options are flags then.",
    )
    return _parameter("step", str | None, option)


def _flag(name: str, field: FieldInfo) -> inspect.Parameter:
    """Return an option for a field; its text is read and checked by the step itself."""
    flag, help_text = f"--{kebab(name)}", _describe(field)
    if field.annotation is bool:
        switch = typer.Option(f"{flag}/--no-{kebab(name)}", help=help_text, rich_help_panel=_PANEL)
        return _parameter(name, bool | None, switch)
    words = choices(field.annotation)
    option = typer.Option(
        flag, metavar="|".join(words) or _metavar(field), help=help_text, rich_help_panel=_PANEL
    )
    return _parameter(name, list[str] | None if _takes_several(field) else str | None, option)


def _parameter(name: str, annotation: Any, option: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[annotation, option],
    )


def _describe(field: FieldInfo) -> str:
    facts = [allowed_range(field)]
    if not field.is_required() and (default := _default(field)):
        facts.append(f"default {shown(default)}")
    if _takes_several(field):
        facts.append("may be repeated")
    said = "; ".join(filter(None, facts))
    return escape(f"{field.description or ''}{f' [{said}]' if said else ''}".strip())


def _default(field: FieldInfo) -> object:
    """Return the default of an option; of a choice its name, of a table nothing."""
    default = field.get_default(call_default_factory=True)
    return getattr(default, "name", None) if isinstance(default, BaseModel) else default


def _metavar(field: FieldInfo) -> str:
    kinds = set(_parts(field.annotation)) - {type(None)}
    if kinds == {int}:
        return "N"
    return "X" if kinds <= {int, float} else "TEXT"


def _takes_several(field: FieldInfo) -> bool:
    return _all_of(field, _SEVERAL)


def _all_of(field: FieldInfo, kinds: tuple[type, ...]) -> bool:
    """Whether all that a field takes, None left out, is of these kinds."""
    parts = [part for part in _parts(field.annotation) if part is not type(None)]
    return all(isinstance(p, type) and issubclass(p, kinds) and p is not str for p in parts)


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield the plain types of a union, or the plain type of anything else."""
    union = get_origin(annotation) in {Union, UnionType}
    for part in get_args(annotation) if union else (annotation,):
        yield get_origin(part) or part
