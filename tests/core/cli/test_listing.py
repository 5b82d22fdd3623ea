"""``plugins`` and ``runtimes``."""

from __future__ import annotations

import json

import pytest

from onnxpress.plugins import Plugins
from tests.core.cli.running import run
from tests.fakes import Nowhere, installed, offering


def test_what_is_installed_is_listed() -> None:
    text = run("plugins").out
    assert "transforms: magnitude-pruning" in text
    assert "objectives: cross-entropy" in text
    records = json.loads(run("plugins", "--json").out)
    assert {r["name"] for r in records} >= {
        "onnx",
        "pruning",
        "quantization",
        "runtimes",
        "training",
    }
    assert all(r["status"] == "ready" for r in records)


def test_a_plugin_that_failed_is_warned_about_once_and_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def discover(**_: object) -> Plugins:
        made = Plugins()
        installed(made, "broken", type)
        return made

    monkeypatch.setattr(Plugins, "discover", discover)
    outcome = run("plugins")
    assert outcome.code == 0
    assert outcome.err.startswith("warning: plugin 'broken'")
    assert outcome.err.count("\n") == 1
    assert "failed" in outcome.out
    assert json.loads(run("plugins", "--json").out)[0]["status"] == "failed"
    outcome = run("prune", "m.onnx", "-o", "o.onnx")
    assert outcome.err.count("warning: ") == 1
    assert "error: there is no step called 'magnitude-pruning'" in outcome.err
    assert "plugin 'broken' (acme-tools 1.0) failed at contract" in outcome.err


def test_runtimes_say_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Plugins()
    made.add("fake", offering(runtimes=[Nowhere]))
    monkeypatch.setattr(Plugins, "discover", lambda **_: made)
    assert "it does not exist" in run("runtimes").out
    (record,) = json.loads(run("runtimes", "--json").out)
    assert record == {
        "name": "nowhere",
        "usable": False,
        "reason": "it does not exist",
        "timing": "real",
    }
