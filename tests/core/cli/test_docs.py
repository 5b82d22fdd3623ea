"""docs/command-line.md: every command runs and prints what the page says."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from tests import pages
from tests.core.cli.test_app import VERBS
from tests.graphs import proto


def test_every_command_does_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pages.digits(tmp_path)
    onnx.save(
        proto("g (float[1,2,3] x) => (float[1,6] y) { y = Flatten(x) }"), tmp_path / "one.onnx"
    )
    consoles = [b for b in pages.blocks("command-line.md") if b.language == "console"]
    assert sum(map(pages.check_console, consoles)) > 15


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_on_the_page(verb: str) -> None:
    page = (pages.DOCS / "command-line.md").read_text()
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert any(verb in heading for heading in headings)
    assert f"onnxpress {verb}" in page
