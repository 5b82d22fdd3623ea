"""Plain values: what JSON can hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from onnxpress.plain import plain


def test_everything_becomes_what_json_can_hold() -> None:
    value = {
        "number": np.float32(0.5),
        "array": np.array([[1, 2]]),
        "tuple": (1, {"inner": float("nan")}),
        "set": {"b", "a"},
        "infinite": np.array([np.inf]),
        "path": Path("x"),
        "kept": [True, None, "text", 1.5],
        7: "key",
    }
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == {
        "number": 0.5,
        "array": [[1, 2]],
        "tuple": [1, {"inner": None}],
        "set": ["a", "b"],
        "infinite": [None],
        "path": "x",
        "kept": [True, None, "text", 1.5],
        "7": "key",
    }
