"""Running the command line within the test's own process."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

import pytest

from onnxpress.cli import main
from onnxpress.plugins import Plugins
from tests.core import steps


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def run(*args: object) -> Outcome:
    """Run ``onnxpress`` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
        main([str(arg) for arg in args])
    code = left.value.code
    assert isinstance(code, int)
    return Outcome(code, out.getvalue(), err.getvalue())


def use_fake_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the steps of `tests.core.steps` be what is installed."""
    monkeypatch.setattr(Plugins, "discover", lambda **_: steps.plugins())
