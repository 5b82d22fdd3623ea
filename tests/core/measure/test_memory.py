from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from onnxpress.measure import memory


def test_memory_is_what_the_system_says() -> None:
    assert memory.memory_mb() == pytest.approx(psutil.Process().memory_info().rss / 1e6, rel=0.05)


def test_peak_remembers_what_was_given_back() -> None:
    before = memory.memory_mb()
    block = bytearray(b"x") * 300_000_000
    del block
    assert memory.peak_memory_mb() >= before + 290


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_peak_of_a_new_program_does_not_hold_that_of_its_parent() -> None:
    block = bytearray(b"x") * 300_000_000
    ask = "from onnxpress.measure.memory import *; print(peak_memory_mb())"
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert float(said.stdout) < 100
    assert len(block) == 300_000_000
