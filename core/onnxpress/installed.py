"""Which plugins are installed, read from what distributions say about themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final, NoReturn

from onnxpress.errors import PluginError

GROUP: Final = "onnxpress"
BLOCK: Final = "ONNXPRESS_BLOCK"
_OWN: Final = "onnxpress"


@dataclass(frozen=True, slots=True)
class Origin:
    """Which plugin, and who brought it.

    Attributes:
        plugin: The name of its entry point.
        distribution: What was installed to get it; empty if it was added by hand.
        version: The version of the distribution.
        module: What the entry point refers to.
    """

    plugin: str
    distribution: str = ""
    version: str = ""
    module: str = ""

    def __str__(self) -> str:
        source = f"{self.distribution} {self.version}" if self.distribution else "added by hand"
        return f"plugin {self.plugin!r} ({source.strip()})"

    @property
    def block(self) -> str:
        """What to write into ``ONNXPRESS_BLOCK`` to leave it out; empty if added by hand.

        The distribution for others' plugins: their names may be claimed twice.
        """
        return self.plugin if self.distribution == _OWN else self.distribution

    def named_in(self, names: Iterable[str]) -> bool:
        """Say whether the plugin or its distribution is among `names`, however spelt."""
        own = {_normal(self.plugin), _normal(self.distribution)} - {""}
        return not own.isdisjoint(map(_normal, names))


@dataclass(frozen=True, slots=True)
class Entry:
    """An installed plugin that is not loaded yet; `load` may raise anything at all."""

    origin: Origin
    load: Callable[[], object]


def installed() -> list[Entry]:
    """Return every installed plugin: our own first, then by name, then by distribution."""
    found = (Entry(_origin(point), _loader(point)) for point in entry_points(group=GROUP))
    return sorted(found, key=lambda entry: own_first(entry.origin))


def _origin(point: EntryPoint) -> Origin:
    if point.dist is None:
        return Origin(point.name, module=point.value)
    return Origin(point.name, point.dist.name, point.dist.version, point.value)


def _loader(point: EntryPoint) -> Callable[[], object]:
    if EntryPoint.pattern.match(point.value):
        return point.load
    return _refuse(f"the entry point {point.value!r} is not of the form 'module:object'")


def _refuse(message: str) -> Callable[[], NoReturn]:
    def load() -> NoReturn:
        raise PluginError(message)

    return load


def own_first(origin: Origin) -> tuple[bool, str, str]:
    """Return the key that sorts plugins: our own first, then by name and distribution."""
    return origin.distribution != _OWN, origin.plugin, origin.distribution


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
