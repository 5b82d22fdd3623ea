"""Which tensors were pruned is written into the model, and survives a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from onnxpress.graph.model import Model
from onnxpress.graph.pruned import PRUNED, masks_of, pruned_names
from onnxpress.job import Job
from onnxpress_pruning import MagnitudePruning
from tests.plugins.pruning.models import products


def model() -> Model:
    return products(**{n: np.arange(1, 9, dtype=np.float32).reshape(2, 4) for n in "ba"})


def test_names_add_up_over_steps_and_are_sorted() -> None:
    once = MagnitudePruning(layers="b").apply(model(), Job())
    twice = MagnitudePruning(layers="a").apply(once, Job())
    assert json.loads(once.ir.metadata_props[PRUNED]) == ["b"]
    assert json.loads(twice.ir.metadata_props[PRUNED]) == ["a", "b"]
    assert pruned_names(model().ir) == []


def test_the_record_survives_a_file(tmp_path: Path) -> None:
    MagnitudePruning(sparsity=0.25).apply(model(), Job()).save(tmp_path / "pruned.onnx")
    again = Model.load(tmp_path / "pruned.onnx")
    kept = [[False, False, True, True], [True] * 4]
    assert {name: mask.tolist() for name, mask in masks_of(again).items()} == {"a": kept, "b": kept}


def test_tensors_that_have_the_zeros_already_are_recorded_too() -> None:
    sparse = products(w=np.array([[0, 2, 0, 4]], np.float32))
    assert pruned_names(MagnitudePruning().apply(sparse, Job()).ir) == ["w"]


def test_what_others_wrote_under_the_key_does_no_harm() -> None:
    for text in ("no json", "{}", "3"):
        edit = model().edit()
        edit.ir.metadata_props[PRUNED] = text
        assert pruned_names(MagnitudePruning(layers="a").apply(edit.done(), Job()).ir) == ["a"]
