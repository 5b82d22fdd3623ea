"""What a verb prints: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from onnxpress.plain import plain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from onnxpress.events import Event

_WIDTH: Final = 100  # columns, where there is no terminal


class Printable(Protocol):
    """A result that can be shown either way."""

    def to_dict(self) -> dict[str, Any]: ...

    def __rich__(self) -> RenderableType: ...


@dataclass(frozen=True, slots=True)
class Screen:
    """Where a verb prints.

    Attributes:
        as_json: Results as JSON, and nothing else on stdout.
        quiet: No results, no bars, only errors.
    """

    as_json: bool = False
    quiet: bool = False

    def show(self, result: Printable) -> None:
        """Print a result."""
        if self.as_json:
            self.dump(result.to_dict())
        else:
            self.print(result)

    def dump(self, value: object) -> None:
        """Print plain values as JSON."""
        sys.stdout.write(json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")

    def print(self, *parts: RenderableType) -> None:
        """Print for people."""
        if not self.quiet and not self.as_json:
            console().print(*parts, sep="\n")

    def say(self, text: str) -> None:
        """Say something besides the result."""
        if not self.quiet:
            sys.stderr.write(f"{text}\n")

    @contextmanager
    def working(self) -> Iterator[Callable[[Event], None]]:
        """Show progress on stderr; what others print inside goes there too."""
        from onnxpress.cli.progress import Bars

        with redirect_stdout(sys.stderr), Bars(enabled=not self.quiet and sys.stderr.isatty()) as b:
            yield b.notify


def console(*, quiet: bool = False) -> Console:
    """Return what prints to stdout, wide enough for tables where there is no terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, quiet=quiet)
