"""From the ways to write a choice with options, such as an optimizer, to the object.

Steps and objectives are offered by plugins and looked up there (`onnxpress.recipe.steps`); what
is chosen here is a fixed set: optimizers, schedules, initializers, augmentations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from onnxpress.errors import OptionError, UnknownNameError, UsageError
from onnxpress.recipe.options import Where, fill_in
from onnxpress.recipe.spec import parse_spec


class Chosen(BaseModel):
    """One of several that can be chosen by name, with its options as fields.

    Attributes:
        name: What users call it, in kebab-case.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]

    @model_serializer(mode="wrap")
    def _as_table(
        self, options: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """Return the options; in JSON with the name, so that it can be read again."""
        named = {"use": self.name} if info.mode == "json" else {}
        return {**named, **options(self)}


C = TypeVar("C", bound=BaseModel)
K = TypeVar("K", bound=Chosen)
Written: TypeAlias = str | Mapping[str, Any] | C
"""A SPEC ``name:key=value``, a table ``{"use": name, key: value}``, or the object itself."""


def _nowhere(*_keys: str | int) -> str:
    return ""


def choose(  # a choice, and what its errors say
    base: type[C],
    known: Mapping[str, type[C]],
    what: str,
    written: object,
    where: Where = _nowhere,
    *,
    example: str = "name:key=value",
    others: Iterable[str] = (),
) -> C:
    """Return what is meant.

    Args:
        base: What all that can be chosen are instances of.
        known: The classes by name.
        what: What they are, as a noun: ``optimizer``.
        written: Any way to write one.
        where: Where its options are written, for errors.
        example: How one may be written as a text, for errors.
        others: What else may be given than a name, for errors.

    Raises:
        UnknownNameError: If there is none of that name, or no such option; names the nearest.
        OptionError: If an option does not take its value; says what it takes.
        UsageError: If it is nothing that stands for one.
    """
    if isinstance(written, base):
        return written
    name, options = _apart(written, known, what)
    if not isinstance(name, str):
        or_else = "".join(f", {other}" for other in others)
        raise UsageError(
            f"{written!r} is no {what}; give a text ({example}), a table with 'use'{or_else}"
        )
    if name not in known:
        hints = [f"or {', '.join(others)}"] if others else []
        raise UnknownNameError(what, name, known, hints)
    return fill_in(known[name], name, options, where)


def _apart(
    written: object, known: Mapping[str, object], what: str
) -> tuple[object, dict[str, Any]]:
    """Return the name, None if there is none, and the options."""
    if isinstance(written, Mapping):
        options = {**written}
        return options.pop("use", None), options
    if not isinstance(written, str):
        return None, {}
    name, given = parse_spec(written, what)
    short, colon, rest = name.partition(":")
    if colon and short in known:  # parse_spec lets names be plugin:name
        raise OptionError(f"{short}: write {rest!r} as key=value")
    return name, {**given}


def by_name(*kinds: type[K]) -> Mapping[str, type[K]]:
    """Return classes by their names."""
    return {kind.name: kind for kind in kinds}
