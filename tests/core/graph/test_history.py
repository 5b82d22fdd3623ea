from __future__ import annotations

import json

import pytest

from onnxpress.graph.history import HISTORY, SOURCE, append_step, read_provenance, write_source
from onnxpress.graph.model import Model
from tests.graphs import graph


@pytest.fixture
def model() -> Model:
    made = graph("g (float[2] x) => (float[2] y) { y = Relu(x) }")
    made.ir.metadata_props.clear()
    return made


def test_a_model_that_was_never_seen_has_no_history(model: Model) -> None:
    found = read_provenance(model.ir)
    assert (found.source, found.history) == ({}, ())


def test_the_first_source_stays(model: Model) -> None:
    write_source(model.ir, {"opset": 13})
    write_source(model.ir, {"opset": 21})
    assert read_provenance(model.ir).source == {"opset": 13}


def test_steps_are_kept_in_order(model: Model) -> None:
    append_step(model.ir, {"name": "prune", "options": {"sparsity": 0.5}})
    append_step(model.ir, {"name": "quantize"})
    assert [step["name"] for step in read_provenance(model.ir).history] == ["prune", "quantize"]


def test_the_same_record_has_the_same_bytes(model: Model) -> None:
    append_step(model.ir, {"b": 1, "a": 2})
    assert model.ir.metadata_props[HISTORY] == '[{"a":2,"b":1}]'


@pytest.mark.parametrize("text", ["not JSON", "5", '"text"', "null", "[1]", "{", ""])
@pytest.mark.parametrize("key", [SOURCE, HISTORY])
def test_what_someone_else_wrote_under_our_key_is_passed_over(
    model: Model, key: str, text: str
) -> None:
    model.ir.metadata_props[key] = text
    found = read_provenance(model.ir)
    assert (found.source, found.history) == ({}, ())
    append_step(model.ir, {"name": "prune"})
    assert read_provenance(model.ir).history[-1]["name"] == "prune"


def test_what_goes_without_saying_is_not_written_and_is_read_all_the_same(model: Model) -> None:
    steps = [
        {"name": "prune", "options": {"sparsity": 0.5}, "seed": 3, "onnxpress": "1.0"},
        {"name": "pack", "options": {}, "seed": 4, "onnxpress": "1.0"},
        {"name": "tune", "options": {}, "seed": 5, "onnxpress": "1.0"},
        {"name": "pack", "options": {}, "seed": 6, "onnxpress": "1.1"},
        {"name": "pack", "options": {}, "seed": 7, "onnxpress": "1.0"},
    ]
    for step in steps:
        append_step(model.ir, step)
    assert list(read_provenance(model.ir).history) == steps
    written = json.loads(model.ir.metadata_props[HISTORY])
    assert written[1:] == [
        {"name": "pack", "seed": 4},
        {"name": "tune", "seed": 5},
        {"name": "pack", "seed": 6, "onnxpress": "1.1"},
        {"name": "pack", "seed": 7, "onnxpress": "1.0"},
    ]


def test_a_history_written_in_full_is_read_as_before(model: Model) -> None:
    full = {"name": "prune", "options": {"sparsity": 0.5, "layers": []}, "onnxpress": "0.1.0"}
    model.ir.metadata_props[HISTORY] = json.dumps([full])
    append_step(model.ir, {"name": "pack", "options": {}, "onnxpress": "0.1.0"})
    assert read_provenance(model.ir).history == (
        full,
        {"name": "pack", "options": {}, "onnxpress": "0.1.0"},
    )
