"""What a terminal would show, as plain text: for ``print`` and for files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import RenderableType

_WIDTH: Final = 100


def plain_text(renderable: RenderableType) -> str:
    """Return a table or the like as text without colours, 100 columns wide."""
    from rich.console import Console

    console = Console(width=_WIDTH, no_color=True, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()
