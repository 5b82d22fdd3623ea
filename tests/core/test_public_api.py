"""What ``import onnxpress`` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import onnxpress


@pytest.mark.parametrize("name", onnxpress.__all__)
def test_every_public_name_can_be_used_and_is_documented(name: str) -> None:
    value = getattr(onnxpress, name)
    assert name == "CONTRACT" or (value.__doc__ or "").strip() or name == "hookimpl"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'prune_everything'"):
        _ = onnxpress.prune_everything


def test_names_are_imported_only_when_they_are_used() -> None:
    code = "import sys, onnxpress; print(*sorted(m for m in sys.modules if 'onnx' in m))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["onnxpress"]


def test_dir_lists_the_public_names() -> None:
    assert dir(onnxpress) == sorted(onnxpress.__all__)
