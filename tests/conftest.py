"""What every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real models and data beside the checkout; without it the test is skipped."""
    if not SHARED.is_dir():
        pytest.skip(f"no {SHARED}: this test needs the shared models and data")
    return SHARED
