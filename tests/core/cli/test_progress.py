"""Bars: after a second, only in a terminal, gone at the end."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from onnxpress.cli import progress
from onnxpress.cli.progress import Bars
from onnxpress.events import Event, Progress, StepFinished, StepStarted

EVENTS: tuple[Event, ...] = (
    StepStarted(0, 2, "dampen", {}),
    Progress("calibrating", 3, 8),
    Progress("reading", 5, None),
)


def shown(monkeypatch: pytest.MonkeyPatch, *, enabled: bool, patience: float) -> str:
    written = io.StringIO()

    def terminal(**_: object) -> Console:
        return Console(file=written, force_terminal=True, width=100)

    monkeypatch.setattr(progress, "_PATIENCE", patience)
    monkeypatch.setattr(progress, "Console", terminal)
    with Bars(enabled=enabled) as bars:
        for event in EVENTS:
            bars.notify(event)
        time.sleep(0.3)
        bars.notify(Progress("calibrating", 8, 8))
        bars.notify(StepFinished(0, 2, "dampen", 0.1, 1, 1))
        bars.notify(Progress("measuring", 1, 2))
        time.sleep(0.2)
    return written.getvalue()


def test_bars_show_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, enabled=True, patience=0.01)
    assert "step 1 of 2: dampen" in text
    assert "3 of 8" in text
    assert "reading" in text
    last = text.rpartition("measuring")[0].rpartition("\x1b[2K")[2]
    assert "reading" not in last


def test_nothing_shows_too_early_or_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not shown(monkeypatch, enabled=True, patience=60)
    assert not shown(monkeypatch, enabled=False, patience=0.01)
