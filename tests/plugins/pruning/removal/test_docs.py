"""docs/channel-pruning.md: commands, recipe and Python run, in the order of the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import pages


def test_everything_does_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pages.digits(tmp_path)
    commands = 0
    for block in pages.blocks("channel-pruning.md"):
        if block.title.endswith(".toml"):
            (tmp_path / block.title).write_text(block.text)
        elif block.language == "console":
            commands += pages.check_console(block)
        elif block.language == "python":
            exec(block.text, {})
    assert commands == 5
