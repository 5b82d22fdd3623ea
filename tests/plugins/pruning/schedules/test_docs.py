"""docs/prune-schedules.md: commands, recipe and Python run, in the order of the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import pages


def test_everything_does_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = pages.check_page("prune-schedules.md", tmp_path)
    assert commands == 2
