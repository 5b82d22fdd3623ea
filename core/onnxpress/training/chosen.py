"""From the ways to write a choice with options, such as an optimizer, to the object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from onnxpress.errors import UnknownNameError, UsageError
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


C = TypeVar("C", bound=Chosen)
Written: TypeAlias = str | Mapping[str, Any] | C
"""A SPEC ``name:key=value``, a table ``{"use": name, key: value}``, or the object itself."""


def _nowhere(*_keys: str | int) -> str:
    return ""


def choose(
    base: type[C], known: Mapping[str, type[C]], what: str, written: object, where: Where = _nowhere
) -> C:
    """Return what is meant.

    Args:
        base: What all that can be chosen are instances of.
        known: The classes by name.
        what: What they are, as a noun: ``optimizer``.
        written: Any way to write one.
        where: Where its options are written, for errors.

    Raises:
        UnknownNameError: If there is none of that name, or no such option; names the nearest.
        OptionError: If an option does not take its value; says what it takes.
        UsageError: If it is nothing that stands for one.
    """
    if isinstance(written, base):
        return written
    options: dict[str, Any] = {}
    name: object = None
    if isinstance(written, str):
        name, options = parse_spec(written, what)
    elif isinstance(written, Mapping):
        options = {**written}
        name = options.pop("use", None)
    if not isinstance(name, str):
        raise UsageError(
            f"{written!r} is no {what}; give a text (name:key=value), or a table with 'use'"
        )
    if name not in known:
        raise UnknownNameError(what, name, known)
    return fill_in(known[name], name, options, where)


def by_name(*kinds: type[C]) -> Mapping[str, type[C]]:
    """Return classes by their names."""
    return {kind.name: kind for kind in kinds}
