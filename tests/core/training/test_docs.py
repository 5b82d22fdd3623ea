"""docs/training.md: its commands, its recipe and its Python run, in the order of the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import pages


def test_everything_does_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = pages.check_page("training.md", tmp_path)
    assert commands >= 9
    assert "finetune" in capsys.readouterr().out
