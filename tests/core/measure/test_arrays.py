from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxpress.errors import OnnxpressError
from onnxpress.measure.arrays import read_arrays, write_arrays


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    sent: dict[str, Any] = {
        "a/b:0": np.arange(6, dtype=np.int8).reshape(2, 3),
        "file": np.array(2.5, dtype=np.float16),
        "names": np.array([True, False]),
        "": np.zeros((0, 4), dtype="f"),
    }
    write_arrays(tmp_path / "x.npz", sent)
    got = read_arrays(tmp_path / "x.npz")
    assert list(got) == list(sent)
    for name, array in sent.items():
        assert got[name].dtype == array.dtype
        np.testing.assert_array_equal(got[name], array)


def test_strings_are_text_and_not_pickles(tmp_path: Path) -> None:
    write_arrays(tmp_path / "x.npz", {"s": np.array(["ein", "zwei"], dtype=object)})
    assert read_arrays(tmp_path / "x.npz")["s"].tolist() == ["ein", "zwei"]


def test_what_is_no_tensor_is_named(tmp_path: Path) -> None:
    with pytest.raises(OnnxpressError, match="'probabilities' is a list, not a tensor"):
        write_arrays(tmp_path / "x.npz", {"probabilities": [{"a": 1.0}]})  # type: ignore[dict-item]
