"""Bars: after a second, only in a terminal, gone at the end."""

from __future__ import annotations

import io
import sys
import time

import pytest
from rich.console import Console

from onnxpress.cli import progress
from onnxpress.cli.progress import Bars
from onnxpress.events import (
    EpochFinished,
    Event,
    Progress,
    StepFinished,
    StepStarted,
    Trained,
)

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


def trained(batch: int, loss: float, batches: int | None = 4) -> Trained:
    return Trained(1, 3, batch, batches, batch, {"loss": loss, "l2": 9.0}, 0.05)


def test_an_epoch_is_a_bar_with_loss_and_learning_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "EVENTS", (trained(1, 4.0), trained(2, 3.0)))
    text = shown(monkeypatch, enabled=True, patience=0.01)
    assert "epoch 2 of 3" in text
    assert "2 of 4  loss 3.5, rate 0.05" in text


def test_an_epoch_stays_until_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    events = (*(trained(batch, 1.0) for batch in range(1, 5)),)
    monkeypatch.setattr(sys.modules[__name__], "EVENTS", events)
    assert "4 of 4  loss 1, rate 0.05" in shown(monkeypatch, enabled=True, patience=0.01)
    bars = Bars(enabled=False)
    for event in events:
        bars.notify(event)
    assert bars._tasks
    bars.notify(EpochFinished(1, 3, {"loss": 1.0}, 0.5, 2.0))
    assert not bars._tasks


def test_a_fit_that_goes_on_averages_what_it_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    events = (trained(3, 2.0, None), trained(4, 4.0, None))
    monkeypatch.setattr(sys.modules[__name__], "EVENTS", events)
    assert "4  loss 3, rate 0.05" in shown(monkeypatch, enabled=True, patience=0.01)
