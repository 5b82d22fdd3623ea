"""From the ways to write augmentations to the objects they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator, PlainSerializer

from onnxpress.data.augment.augmentation import Augmentation
from onnxpress.data.augment.crop import Crop
from onnxpress.data.augment.custom import Custom
from onnxpress.data.augment.cutmix import Cutmix
from onnxpress.data.augment.cutout import Cutout
from onnxpress.data.augment.flip import Flip
from onnxpress.data.augment.jitter import Jitter
from onnxpress.data.augment.mixup import Mixup
from onnxpress.data.augment.noise import Noise
from onnxpress.data.callables import import_callable

Written: TypeAlias = str | Mapping[str, Any] | Augmentation | Callable[..., Any]
"""A SPEC ``crop:padding=4``, a table ``{"use": "crop", "padding": 4}``, the object itself,
``package.module:callable``, or a callable."""

KINDS: Final[Mapping[str, type[Augmentation]]] = {
    kind.name: kind for kind in (Crop, Cutmix, Cutout, Flip, Jitter, Mixup, Noise)
}

_EXAMPLE: Final = "crop:padding=4"
_OTHERS: Final = ("package.module:callable", "in Python an Augmentation or any callable")


def read_augmentations(written: Written | Iterable[Written] | None) -> tuple[Augmentation, ...]:
    """Return the augmentations that are meant, in order; one alone need not be in a list.

    Raises:
        UnknownNameError: If there is none of that name, or no such option; names the nearest.
        OptionError: If an option does not take its value; says what it takes.
        UsageError: If it is nothing that stands for an augmentation.
    """
    if written is None:
        return ()
    several = isinstance(written, Iterable) and not isinstance(
        written, str | Mapping | Augmentation
    )
    if several and not callable(written):
        return tuple(map(_read, written))
    return (_read(written),)


def _tables(augmentations: tuple[Augmentation, ...]) -> list[dict[str, Any]]:
    return [augmentation.table() for augmentation in augmentations]


Augmentations: TypeAlias = Annotated[
    tuple[Augmentation, ...], BeforeValidator(read_augmentations), PlainSerializer(_tables)
]
"""The type of an option that takes augmentations, however they are written."""


def _read(written: object) -> Augmentation:
    from onnxpress.recipe.chosen import choose

    if callable(written):
        return _from_callable(written)
    if (path := _path(written)) is not None:
        return Custom(function=import_callable(path), spec=path)
    return choose(
        Augmentation,  # type: ignore[type-abstract]
        KINDS,
        "augmentation",
        written,
        example=_EXAMPLE,
        others=_OTHERS,
    )


def _from_callable(function: Callable[..., Any]) -> Custom:
    module = getattr(function, "__module__", "")
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return Custom(function=function, spec=f"{module}:{name}" if module else name)


def _path(written: object) -> str | None:
    """Return ``package.module:callable`` if that is what is written, alone or under ``use``."""
    if isinstance(written, Mapping) and len(written) == 1:
        written = written.get("use")
    if not isinstance(written, str):
        return None
    name, colon, rest = written.strip().partition(":")
    return written.strip() if colon and "=" not in rest and name not in KINDS else None
