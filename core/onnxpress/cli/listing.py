"""``plugins`` and ``runtimes``: what there is, what is not, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from onnxpress.cli.arguments import AsJson
from onnxpress.cli.screen import Screen

if TYPE_CHECKING:
    from rich.table import Table

_OFFERS: Final = ("transforms", "objectives", "importers", "runtimes", "rules")


def plugins(*, as_json: AsJson = False) -> None:
    """List the plugins: what they offer, and why some can't be used."""
    from onnxpress.plugins import Plugins

    screen, found = Screen(as_json), Plugins.discover().describe()
    if as_json:
        screen.dump(found)
    else:
        screen.print(_plugin_table(found))


def runtimes(*, as_json: AsJson = False) -> None:
    """List the places to run models: which can be used here, and why not."""
    from onnxpress.plugins import Plugins

    screen, found = Screen(as_json), _probe(Plugins.discover().runtimes)
    if as_json:
        screen.dump(found)
    else:
        rows = ((r["name"], "ready" if r["usable"] else "no", r["reason"]) for r in found)
        screen.print(_table(("runtime", "here", "why"), rows))


def _probe(kinds: Mapping[str, Any]) -> list[dict[str, Any]]:
    from onnxpress.offers import probe

    found = []
    for name, kind in sorted(kinds.items()):
        here = probe(kind)
        found.append(
            {"name": name, "usable": here.usable, "reason": here.reason, "timing": kind.timing}
        )
    return found


def _plugin_table(found: Iterable[Mapping[str, Any]]) -> Table:
    rows = (
        (
            record["name"],
            f"{record['distribution'] or ''} {record['version'] or ''}".strip(),
            record["status"],
            "\n".join([*_offered(record), *record["failures"]]),
        )
        for record in found
    )
    return _table(("plugin", "of", "status", "offers"), rows)


def _offered(record: Mapping[str, Any]) -> list[str]:
    return [f"{kind}: {', '.join(record[kind])}" for kind in _OFFERS if record.get(kind)]


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table
