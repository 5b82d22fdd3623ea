from __future__ import annotations

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
    assert read_provenance(model.ir).history[-1] == {"name": "prune"}
