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
from onnxpress.errors import OptionError, UnknownNameError, UsageError

Written: TypeAlias = str | Mapping[str, Any] | Augmentation | Callable[..., Any]
"""A SPEC ``crop:padding=4``, a table ``{"use": "crop", "padding": 4}``, the object itself,
``package.module:callable``, or a callable."""

KINDS: Final[Mapping[str, type[Augmentation]]] = {
    kind.name: kind for kind in (Crop, Cutmix, Cutout, Flip, Jitter, Mixup, Noise)
}


def read_augmentations(written: Written | Iterable[Written] | None) -> tuple[Augmentation, ...]:
    """Return the augmentations that are meant, in order; one alone need not be in a list.

    Raises:
        UnknownNameError: If there is none of that name, or no such option; names the nearest.
        OptionError: If an option does not take its value; says what it takes.
        UsageError: If it is nothing that stands for an augmentation.
    """
    if written is None:
        return ()
    if isinstance(written, str | Mapping | Augmentation) or callable(written):
        return (_read(written),)
    if not isinstance(written, Iterable):
        raise UsageError(_unusable(written))
    return tuple(map(_read, written))


def _tables(augmentations: tuple[Augmentation, ...]) -> list[dict[str, Any]]:
    return [augmentation.table() for augmentation in augmentations]


Augmentations: TypeAlias = Annotated[
    tuple[Augmentation, ...], BeforeValidator(read_augmentations), PlainSerializer(_tables)
]
"""The type of an option that takes augmentations, however they are written."""


def _read(written: object) -> Augmentation:
    if isinstance(written, Augmentation):
        return written
    if isinstance(written, str):
        return _from_spec(written)
    if isinstance(written, Mapping) and isinstance(written.get("use"), str):
        return _from_table(dict(written))
    if callable(written):
        module = getattr(written, "__module__", "")
        name = getattr(written, "__qualname__", type(written).__qualname__)
        return Custom(function=written, spec=f"{module}:{name}" if module else name)
    raise UsageError(_unusable(written))


def _from_spec(spec: str) -> Augmentation:
    from onnxpress.recipe.spec import parse_spec

    name, colon, rest = spec.strip().partition(":")
    if colon and "=" not in rest:
        if name in KINDS:
            raise OptionError(f"{name}: write {rest!r} as key=value")
        return Custom(function=import_callable(spec.strip()), spec=spec.strip())
    return _make(*parse_spec(spec, "augmentation"))


def _from_table(options: dict[str, Any]) -> Augmentation:
    use = str(options.pop("use"))
    return _make(use, options) if options or use in KINDS else _from_spec(use)


def _make(name: str, options: Mapping[str, Any]) -> Augmentation:
    from onnxpress.recipe.options import fill_in

    if name not in KINDS:
        own = "your own: package.module:callable, or in Python any callable"
        raise UnknownNameError("augmentation", name, KINDS, [own])
    return fill_in(KINDS[name], name, options, lambda *_keys: "")


def _unusable(written: object) -> str:
    return (
        f"{written!r} is no augmentation; give a text (crop:padding=4), a table with 'use', "
        "package.module:callable, an Augmentation or a callable"
    )
