"""The SPEC of a step or an objective: a name and options as one text.

::

    spec   =  name [":" pairs]
    pairs  =  key "=" value {"," key "=" value}
    value  =  "[" value {"," value} "]"     a list
           |  "{" pairs "}"                 a table
           |  '"' text '"' | "'" text "'"   text as it is
           |  text                          up to the next comma; brackets in it must pair

Plain text is read by the type of its option: ``0.5`` is a number where a number is
wanted, and a name where a name is.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias, Union

from onnxpress.errors import OptionError

Value: TypeAlias = Union[str, "list[Value]", "dict[str, Value]"]

# A name may be plugin:name, so it ends at the colon that comes before key=.
_SPEC: Final = re.compile(r"([^:=,]+(?::[^:=,]+)?)(?::(.*))?", re.DOTALL)
_CLOSING: Final = {"[": "]", "{": "}", "(": ")"}


def parse_spec(text: str, what: str = "step") -> tuple[str, dict[str, Value]]:
    """Return the name and the options of a SPEC.

    Args:
        text: The SPEC.
        what: What it stands for, for errors.

    Raises:
        OptionError: If it is not written as it should be; says where.
    """
    found = _SPEC.fullmatch(text.strip())
    if found is None:
        raise OptionError(f"{text!r} is no {what}; write name:key=value,key=value")
    name, options = found.groups()
    return name.strip(), _Reader(options or "").options()


def guess(value: object) -> object:
    """Return the number, truth value or None that plain text looks like; else the same."""
    if isinstance(value, list):
        return [guess(item) for item in value]
    if not isinstance(value, str):
        return value
    if (word := value.lower()) in _WORDS:
        return _WORDS[word]
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "none": None, "null": None}


class _Reader:
    """Reads the part of a SPEC after the name, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def options(self) -> dict[str, Value]:
        """Read all of the text."""
        pairs = self._pairs("")
        if self._at < len(self._text):
            raise self._expected("',' and another key=value")
        return pairs

    def _pairs(self, closing: str) -> dict[str, Value]:
        pairs: dict[str, Value] = {}
        while self._next() != closing:
            key, equals, _ = self._rest().partition("=")
            if not equals or not re.fullmatch(r"\s*[\w-]+\s*", key):
                raise self._expected("key=value")
            self._at += len(key) + 1
            if key.strip() in pairs:
                raise OptionError(f"{key.strip()} is given twice; a list is {key.strip()}=[a,b]")
            pairs[key.strip()] = self._value()
            if not self._take(","):
                break
        return pairs

    def _value(self) -> Value:
        if self._take("["):
            return self._closed(self._items(), "]")
        if self._take("{"):
            return self._closed(self._pairs("}"), "}")
        if (quote := self._next()) in {'"', "'"}:
            self._at += 1
            text, found, _ = self._rest().partition(quote)
            if not found:
                raise self._expected(f"a closing {quote}")
            self._at += len(text) + 1
            return text
        return self._plain()

    def _items(self) -> list[Value]:
        items: list[Value] = []
        while self._next() != "]":
            items.append(self._value())
            if not self._take(","):
                break
        return items

    def _plain(self) -> str:
        rest = self._rest()
        length = _plain_length(rest)
        if not length:
            raise self._expected('a value ("" for an empty text)')
        self._at += length
        return rest[:length].strip()

    def _closed(self, value: Value, bracket: str) -> Value:
        if not self._take(bracket):
            raise self._expected(f"',' or '{bracket}'")
        return value

    def _next(self) -> str:
        """Pass over spaces; return the next character, empty at the end."""
        self._at += len(self._rest()) - len(self._rest().lstrip())
        return self._text[self._at : self._at + 1]

    def _take(self, character: str) -> bool:
        found = self._next() == character
        self._at += found
        return found

    def _rest(self) -> str:
        return self._text[self._at :]

    def _expected(self, what: str) -> OptionError:
        found = f"{self._rest()!r}" if self._rest() else "the end"
        return OptionError(f"in the options {self._text!r}: expected {what}, found {found}")


def _plain_length(text: str) -> int:
    """Return where plain text ends: at a comma or closing bracket outside its own brackets."""
    missing: list[str] = []
    for at, character in enumerate(text):
        if not missing and character in {",", "]", "}"}:
            return at
        if character in _CLOSING:
            missing.append(_CLOSING[character])
        elif missing and character == missing[-1]:
            missing.pop()
    if missing:
        raise OptionError(f"{text!r} lacks a {missing[-1]!r}; put the text in quotes")
    return len(text)
