"""Masks that a user brings along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from onnxpress.errors import OptionError, UnknownNameError, UsageError
from onnxpress.graph.model import Model
from onnxpress.graph.pruned import masks_of
from onnxpress.job import Job
from onnxpress_pruning import MagnitudePruning
from tests.plugins.pruning.models import products, pruned

WEIGHT = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
MASK = np.array([[1, 0, 1], [0, 0, 1]])
AFTER = [[1, 0, 3], [0, 0, 6]]


def model() -> Model:
    return products(w=WEIGHT, other=WEIGHT)


@pytest.mark.parametrize("mask", [MASK, MASK.astype(bool), MASK.astype(np.float32), MASK.tolist()])
@pytest.mark.parametrize("name", ["w", "use_w"])
def test_a_mask_prunes_just_what_it_says(name: str, mask: Any) -> None:
    after = pruned(model(), masks={name: mask})
    assert after["w"].tolist() == AFTER
    assert np.array_equal(after["other"], WEIGHT)


def test_masks_come_from_a_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "masks.npz", w=MASK)
    assert pruned(model(), masks=str(tmp_path / "masks.npz"))["w"].tolist() == AFTER


def test_masks_go_out_as_they_came_in() -> None:
    result = MagnitudePruning(masks={"w": MASK}).apply(model(), Job())
    out = masks_of(result)
    assert list(out) == ["w"]
    assert np.array_equal(out["w"], MASK)


def test_a_mask_that_keeps_everything_is_declined() -> None:
    job = Job()
    MagnitudePruning(masks={"w": np.ones((2, 3))}).apply(model(), job)
    assert ["keeps every weight" in d.reason for d in job.declined] == [True]


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'use_w'"):
        pruned(model(), masks={"usew": MASK})


def test_a_wrong_shape_names_both_shapes() -> None:
    with pytest.raises(OptionError, match=r"\(3, 2\).*\(2, 3\)"):
        pruned(model(), masks={"w": MASK.T})


@pytest.mark.parametrize("mask", [MASK * 0.5, MASK + 1, MASK.astype(str), MASK * np.nan])
def test_other_values_than_0_and_1_are_refused(mask: Any) -> None:
    with pytest.raises(OptionError, match="1 \\(keep\\) and 0 \\(prune\\)"):
        pruned(model(), masks={"w": mask})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*nowhere\.npz"):
        pruned(model(), masks=tmp_path / "nowhere.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 damaged", b"no numpy file"])
def test_a_file_that_is_no_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "masks.npz").write_bytes(content)
    with pytest.raises(UsageError, match=r"can't be read as a \.npz"):
        pruned(model(), masks=tmp_path / "masks.npz")


def test_a_single_array_is_no_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", MASK)
    with pytest.raises(UsageError, match=r"can't be read as a \.npz"):
        pruned(model(), masks=tmp_path / "mask.npy")


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "masks.npz", w=np.array([{}], object))
    with pytest.raises(UsageError, match=r"can't be read as a \.npz"):
        pruned(model(), masks=tmp_path / "masks.npz")


@pytest.mark.parametrize("option", [{"sparsity": 0.9}, {"layers": "op:MatMul"}])
def test_masks_decide_alone(option: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=f"leave out {next(iter(option))}"):
        MagnitudePruning(masks={"w": MASK}, **option)


def test_options_with_arrays_can_be_written_into_a_history() -> None:
    written = MagnitudePruning(masks={"w": MASK}).model_dump(mode="json")
    assert written["masks"] == "arrays: w"
