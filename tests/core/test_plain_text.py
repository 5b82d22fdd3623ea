from __future__ import annotations

from rich.table import Table

from onnxpress.plain_text import plain_text


def test_it_has_no_colours_and_fits_100_columns() -> None:
    table = Table(box=None, style="red")
    table.add_column("layer", style="bold", overflow="fold")
    table.add_row("x" * 250)
    lines = plain_text(table).splitlines()
    assert "\x1b" not in "".join(lines)
    assert max(map(len, lines)) == 100
