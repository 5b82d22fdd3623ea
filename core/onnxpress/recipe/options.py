"""The options of a step: which there are, what they take, and what is wrong with a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from onnxpress.errors import OptionError, UnknownNameError, noting, suggestion
from onnxpress.recipe.spec import guess

M = TypeVar("M", bound=BaseModel)
Where: TypeAlias = Callable[..., str]
"""Says where an option is written, by the keys that lead to it; empty if nobody knows."""

_BOUNDS: Final = {"ge": "at least", "gt": "above", "le": "at most", "lt": "less than"}
_PLAINER: Final = {"a valid integer": "a whole number", "a valid boolean": "true or false"}
_TABLE_ERRORS: Final = frozenset({"dict_type", "mapping_type", "model_type"})
_BOUND_ERRORS: Final = ("greater_than", "less_than")


def kebab(name: str) -> str:
    """Return an option as recipes and the command line write it: ``include-bias``."""
    return name.replace("_", "-")


def fill_in(kind: type[M], name: str, options: Mapping[str, Any], where: Where) -> M:
    """Make a step of its options.

    Args:
        kind: The class.
        name: What the user calls it.
        options: Values by option, in kebab-case or snake_case; plain text from a SPEC or
            from the command line is read by the type of the option.
        where: Where each option is written.

    Raises:
        UnknownNameError: If there is no such option; names the nearest.
        OptionError: If options do not take their values; one sentence for each.
    """
    values = _by_field(kind, name, options, where)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        wrong = {detail["loc"][0] for detail in error.errors() if detail["loc"]}
        guessed = {key: guess(v) if key in wrong else v for key, v in values.items()}
    try:
        return kind.model_validate(guessed)
    except ValidationError as error:
        raise OptionError(_about(kind, name, error.errors(), where)) from error


def allowed_range(field: FieldInfo) -> str:
    """Return the numbers that an option takes: ``at least 0 and less than 1``; may be empty."""
    bounds = [
        f"{words} {bound:g}"
        for item in field.metadata
        for attribute, words in _BOUNDS.items()
        if (bound := getattr(item, attribute, None)) is not None
    ]
    return " and ".join(dict.fromkeys(bounds))


def choices(annotation: object) -> tuple[str, ...]:
    """Return the words that a type is limited to, None left out; empty if to none."""
    if get_origin(annotation) is Literal:
        return tuple(str(value) for value in get_args(annotation))
    parts = [part for part in get_args(annotation) if part is not type(None)]
    return choices(parts[0]) if len(parts) == 1 and _is_union(annotation) else ()


def _is_union(annotation: object) -> bool:
    return type(None) in get_args(annotation)


def _by_field(
    kind: type[BaseModel], name: str, options: Mapping[str, Any], where: Where
) -> dict[str, Any]:
    """Return options by field, and those of tables inside too."""
    values: dict[str, Any] = {}
    for key, value in _by_table(kind, name, options, where).items():
        field = str(key).replace("-", "_")
        if field not in kind.model_fields:
            with noting(_in(where(str(key)))):
                known = map(kebab, (*kind.model_fields, *inner_fields(kind)))
                raise UnknownNameError(f"option of {name}", str(key), known)
        if field in values:
            raise OptionError(f"{name}: {kebab(field)} is given twice{_at(where(field))}")
        inside = f"{name}.{kebab(field)}", value, partial(where, field)
        values[field] = _inside(kind.model_fields[field], *inside)
    return values


def inner_fields(kind: type[BaseModel]) -> dict[str, str]:
    """Return the options that only a table inside has, and the table of each.

    They may be given without naming the table: ``finetune:epochs=3`` is short for
    ``finetune:train={epochs=3}``.
    """
    tables = {name: _model_in(field.annotation) for name, field in kind.model_fields.items()}
    found: dict[str, str] = {}
    for table, inner in tables.items():
        for name in inner.model_fields if inner else ():
            if name not in kind.model_fields:
                found.setdefault(name, table)
    return found


def inner_model(field: FieldInfo) -> type[BaseModel]:
    """Return the table of options that a field takes."""
    inner = _model_in(field.annotation)
    assert inner is not None  # asked only of fields that have one
    return inner


def _by_table(
    kind: type[BaseModel], name: str, options: Mapping[str, Any], where: Where
) -> dict[str, Any]:
    """Return options with those that only a table inside has in that table."""
    inside = inner_fields(kind)
    result: dict[str, Any] = {}
    moved: list[tuple[str, str, Any]] = []
    for key, value in options.items():
        table = inside.get(str(key).replace("-", "_"))
        if table is None:
            result[key] = value
        else:
            moved.append((table, key, value))
    for table, key, value in moved:
        given = result.get(table, {})
        if not isinstance(given, Mapping):
            break  # the table is said to be something else; that is the error
        if str(key).replace("-", "_") in {str(k).replace("-", "_") for k in given}:
            raise OptionError(f"{name}: {kebab(str(key))} is given twice{_at(where(str(key)))}")
        result[table] = {**given, key: value}
    return result


def _inside(field: FieldInfo, name: str, value: object, where: Where) -> object:
    """Return a value; if it is a table of options in itself, by field."""
    inner = _model_in(field.annotation)
    if inner is None or not isinstance(value, Mapping):
        return value
    return _by_field(inner, name, value, where)


def _in(place: str) -> str:
    return f"in {place}" if place else ""


def _at(place: str) -> str:
    return f" ({place})" if place else ""


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a type is, or may be besides None."""
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def _about(kind: type[BaseModel], name: str, details: Iterable[ErrorDetails], where: Where) -> str:
    """Say what is wrong with the options, each in one sentence."""
    sentences: dict[str, str] = {}
    for detail in details:
        option, field = _follow(kind, detail["loc"])
        if option in sentences and detail["type"] != "value_error":  # another way it might fit
            sentences[option] += f", or {_wanted(field, detail)}"
        else:
            sentences[option] = _sentence(option, field, detail) + _at(where(*detail["loc"]))
    if len(sentences) == 1:
        return f"{name}: {next(iter(sentences.values()))}"
    return "\n  ".join([f"{name}: {len(sentences)} options can't be used", *sentences.values()])


def _follow(kind: type[BaseModel], location: tuple[int | str, ...]) -> tuple[str, FieldInfo | None]:
    """Return the option at a location, as ``train.epochs`` or ``layers[1]``, and its field.

    What pydantic says of the branches of a union is left out.
    """
    option, field, inner = "", None, kind if location else None
    for part in location:
        if isinstance(part, int):
            option, field = f"{option}[{part}]", None
        elif inner is not None and part in inner.model_fields:
            field = inner.model_fields[part]
            option, inner = f"{option}.{kebab(part)}", _model_in(field.annotation)
    return option.removeprefix("."), field


def _sentence(option: str, field: FieldInfo | None, detail: ErrorDetails) -> str:
    if detail["type"] == "missing":
        return f"{option} must be given"
    if detail["type"] == "value_error":
        said = str(detail["ctx"]["error"])
        return f"{option} is {_shown(detail)}; {said}" if option else said
    return f"{option} is {_shown(detail)}; it must be {_wanted(field, detail)}{_nearest(detail)}"


def _shown(detail: ErrorDetails) -> str:
    text = repr(guess(detail["input"]))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


_LONGEST: Final = 80


def _wanted(field: FieldInfo | None, detail: ErrorDetails) -> str:
    if field and detail["type"].startswith(_BOUND_ERRORS) and (allowed := allowed_range(field)):
        return allowed
    if detail["type"] in _TABLE_ERRORS:
        return "a table, key=value"
    if detail["type"] == "literal_error":
        return str(detail["ctx"]["expected"])
    wanted = detail["msg"].removeprefix("Input should be ").partition(",")[0]
    return _PLAINER.get(wanted, wanted.replace("a valid ", "a "))


def _nearest(detail: ErrorDetails) -> str:
    if detail["type"] != "literal_error":
        return ""
    words = [
        word.strip("'") for word in detail["ctx"]["expected"].replace(" or ", ", ").split(", ")
    ]
    nearest = suggestion(str(detail["input"]), words)
    return nearest if "did you mean" in nearest else ""
