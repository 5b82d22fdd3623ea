from __future__ import annotations

from typing import Any

import pytest

from onnxpress.measure.results import Benchmark
from onnxpress.measure.table import _short, short_names


def _benchmark(**changes: Any) -> Benchmark:
    result = {
        "model": "a/m.onnx",
        "runtime": "cpu",
        "ok": True,
        "reason": None,
        "timing": "real",
        "latency_ms": {"median": 1.234, "p90": 2, "p99": 3},
        "ratio_to_first": {"latency": 0.5, "latency_interval": [0.4, 0.6], "size": 0.25},
        "load_ms": 12.3,
        "peak_memory_mb": 1234.5,
        "bytes_stored": 2_500_000,
        "accuracy": None,
        "output_difference": None,
        "threads": 2,
        "noise": 0.01,
    }
    cpu = {"name": "Fast CPU", "features": ["AVX2"], "cores": {"usable": 4}}
    load = changes.pop("load_average", 0.1)
    return Benchmark([{**result, **changes}], {"cpu": cpu, "load_average": load})


def test_a_quiet_measurement_has_no_warning() -> None:
    text = str(_benchmark())
    assert "0.50× [0.40, 0.60]" in text
    assert "1.23 2.00" in text
    assert "Threads: 2. Fast CPU (AVX2)" in text
    assert text.count("\n") == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"noise": 0.2}, "Rounds differed by 20%"),
        ({"load_average": 3.0}, "busy before this began (load 3 on 4 CPUs)"),
        ({"timing": "emulated"}, "Times of cpu are emulated"),
    ],
)
def test_what_makes_figures_doubtful_is_said(changes: dict[str, Any], said: str) -> None:
    assert said in str(_benchmark(**changes))


def test_columns_without_figures_are_left_out() -> None:
    text = str(_benchmark(latency_ms=None, ratio_to_first={"latency": None, "size": None}))
    assert "median" not in text
    assert "ratio" not in text


def test_names_are_short_where_they_can_be_told_apart() -> None:
    a, b, c = ({"model": name} for name in ("x/a.onnx", "y/b.onnx", "y/a.onnx"))
    assert short_names([a, b, a]) == ["a.onnx", "b.onnx", "a.onnx"]
    assert short_names([a, c]) == ["x/a.onnx", "y/a.onnx"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5, "1234"),
        (123.4, "123"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.5, "0.50"),
        (0.0012, "0.0012"),
    ],
)
def test_three_digits_are_shown(value: float, text: str) -> None:
    assert _short(value) == text
