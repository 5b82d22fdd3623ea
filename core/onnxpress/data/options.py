"""The options of data: what they are called, and how their values are read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from onnxpress.errors import OptionError, UnknownNameError

Layout: TypeAlias = Literal["nchw", "nhwc"]
Numbers: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """How samples are chosen and prepared.

    Samples are shuffled first, then `offset` are left out and `limit` are taken: with
    the same seed, two ranges that are apart never share a sample.

    Attributes:
        limit: How many samples to take; None takes all.
        offset: How many samples to leave out before them.
        shuffle: The seed of the order; None keeps the order of the source.
        batch: Samples at once; None takes what the model fixes, else 32.
        scale: Each value becomes ``(x * scale - mean) / std``; one number, or one per channel.
        mean: See `scale`.
        std: See `scale`.
        layout: ``"nchw"`` turns channel-last images round, ``"nhwc"`` channel-first ones.
        size: Height and width that images of a folder are resized and cropped to.
        resize: The shorter side before cropping; None takes just enough to cover `size`.
    """

    limit: int | None = None
    offset: int = 0
    shuffle: int | None = None
    batch: int | None = None
    scale: Numbers = ()
    mean: Numbers = ()
    std: Numbers = ()
    layout: Layout | None = None
    size: tuple[int, int] | None = None
    resize: int | None = None

    @property
    def computes(self) -> bool:
        """Whether values are computed with, so that they become floats."""
        return bool(self.scale or self.mean or self.std)


def read_options(values: Mapping[str, object]) -> Options:
    """Make options of texts (from a SPEC) or of numbers and lists (from a recipe).

    Raises:
        UnknownNameError: If there is no such option; names the nearest.
        OptionError: If a value is not one the option takes; says what it takes.
    """
    read: dict[str, Any] = {}
    for name, value in values.items():
        if name not in _READERS:
            raise UnknownNameError("data option", name, _READERS)
        read[name] = _READERS[name](name, value)
    return Options(**read)


def _whole(name: str, value: object, least: int) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not text.lstrip("-").isdecimal() or int(text) < least:
        raise OptionError(f"{name}={value}: {name} is a whole number of at least {least}")
    return int(text)


def _numbers(name: str, value: object) -> Numbers:
    parts = _parts(value)
    try:
        numbers = tuple(map(_number, parts))
    except (ValueError, ZeroDivisionError) as error:
        raise OptionError(
            f"{name}={value}: {name} is one number or one per channel, as 1/255 or .485,.456,.406"
        ) from error
    if name == "std" and 0 in numbers:
        raise OptionError(f"std={value}: values are divided by std, so 0 is not possible")
    return numbers


def _number(text: str) -> float:
    above, _, below = text.partition("/")
    number = float(above) / float(below or 1)
    if number - number != 0:  # infinite or NaN
        raise ValueError(text)
    return number


def _layout(name: str, value: object) -> Layout:
    if value in ("nchw", "nhwc"):
        return value
    raise OptionError(f"{name}={value}: {name} is nchw or nhwc")


def _size(name: str, value: object) -> tuple[int, int]:
    sides = [_whole(name, part, 1) for part in _parts(value)]
    if len(sides) not in {1, 2}:
        raise OptionError(
            f"{name}={value}: {name} is height,width in pixels, or one number for both"
        )
    return sides[0], sides[-1]


def _parts(value: object) -> list[str]:
    if isinstance(value, str | os.PathLike) or not isinstance(value, Iterable):
        return str(value).split(",")
    return [str(part) for part in value]


_READERS: Final[Mapping[str, Callable[[str, object], Any]]] = {
    "limit": partial(_whole, least=1),
    "offset": partial(_whole, least=0),
    "shuffle": partial(_whole, least=0),
    "batch": partial(_whole, least=1),
    "scale": _numbers,
    "mean": _numbers,
    "std": _numbers,
    "layout": _layout,
    "size": _size,
    "resize": partial(_whole, least=1),
}
OPTION_NAMES: Final = frozenset(_READERS)
