"""The numbers about masks that the test suites of TFMOT, PyTorch, torchao and Distiller expect.

By their numbers in the collection of facts; decision 0014 says what does not hold, and why.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from onnxpress.testing import model_from_text
from onnxpress_pruning import MagnitudePruning
from onnxpress_pruning.structures.n_m import n_of_m
from tests.plugins.pruning.models import products, pruned, zeros


def floats(values: Any) -> Array:
    return np.array(values, np.float32)


def kept(model: Model, name: str = "w", **options: Any) -> list[Any]:
    """Return what is kept of a tensor as ones and zeros."""
    mask: list[Any] = (pruned(model, **options)[name] != 0).astype(int).tolist()
    return mask


def convolution(weight: Array) -> Model:
    """Return a Conv; `weight` is as TensorFlow stores it: height, width, inputs, outputs."""
    stored = floats(weight).transpose(3, 2, 0, 1)
    return model_from_text(
        f"g (float[N,{stored.shape[1]},9,9] x) => (float[N,M,H,W] y) {{ y = Conv(x, w) }}",
        w=stored,
    )


# TFMOT.


def test_blocks_are_pooled_by_the_largest() -> None:
    rows = [[0.1, 0, 0.2, 0], [0, -0.1, 0, -0.2], [0.3, 0, 0.4, 0], [0, -0.3, 0, -0.4]]
    mask = kept(products(w=floats(rows)), structure="block", block="2x2", pooling="max")
    assert mask == [[0] * 4] * 2 + [[1, 0, 1, 0], [0, 1, 0, 1]]  # 9: zeros were zero before


def test_two_of_four_in_a_dense_layer() -> None:
    weight = [[0.74, 0.68], [-0.89, -0.45], [-1.68, 1.24], [0.31, -0.6]]
    expected = [[0, 1], [1, 0], [1, 1], [0, 0]]
    assert kept(products(w=floats(weight)), structure="n:m", pattern="2:4") == expected  # 11
    gemm = model_from_text(
        "g (float[N,4] x) => (float[N,2] y) { y = Gemm<transB=1>(x, w) }", w=floats(weight).T
    )
    assert kept(gemm, structure="n:m") == np.transpose(expected).tolist()


def test_one_of_two_in_a_convolution() -> None:
    weight = floats([[-0.36, -0.77], [-0.43, -0.18], [0.12, 1.36], [0.77, 0.96]])
    mask = kept(convolution(weight[None, None]), structure="n:m", pattern="1:2")
    assert np.transpose(mask, (2, 3, 1, 0))[0, 0].tolist() == [[0, 1], [1, 0], [0, 1], [1, 0]]  # 13


def rows_kept(weight: Array, axis: int) -> list[Any]:
    mask: list[Any] = (~n_of_m(np.abs(weight), 2, 4, axis)).astype(int).tolist()
    return mask


def test_zeros_that_fill_up_the_last_group_count_as_pruned() -> None:
    inputs = floats([[-0.37, 1.85], [0.82, 0.07], [1.17, 0.5]])
    assert rows_kept(inputs, 0) == [[0, 1], [1, 0], [1, 1]]  # 15
    assert rows_kept(floats([[1.24], [1.11]]), 1) == [[1], [1]]  # 17
    rows = floats([[0.25, -1.33, 0.43, -0.11], [0.47, 0.92, -0.13, -2.23]])
    assert rows_kept(rows, 1) == [[0, 1, 1, 0], [0, 1, 0, 1]]  # 19


@pytest.mark.parametrize("pattern", ["0:4", "-1:4", "4:4", "5:4", "4", "a:b"])
def test_a_pattern_that_keeps_none_or_all_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match="N"):
        MagnitudePruning(structure="n:m", pattern=pattern)  # type: ignore[arg-type]  # 21


def test_groups_run_along_the_inputs_at_every_place_of_a_kernel() -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((5, 5, 8, 4))  # 23: 100 rows, here of 8 inputs
    mask = np.transpose(kept(convolution(weight), structure="n:m"), (2, 3, 1, 0))
    rows = mask.transpose(0, 1, 3, 2).reshape(100, 8)
    assert (rows.reshape(-1, 4).sum(1) == 2).all()


# PyTorch.


@pytest.mark.parametrize(("share", "count"), [(0, 0), (2 / 3, 10), (1 / 15, 1), (0.4, 7)])
def test_a_share_as_a_count(share: float, count: int) -> None:
    size = 17 if count == 7 else 15
    model = products(w=np.arange(1, size + 1, dtype=np.float32)[None])
    assert zeros(pruned(model, sparsity=share)["w"]) == count  # 43


@pytest.mark.parametrize("share", ["str", 1.1, 20.0, -10, 1.0])
def test_what_is_no_share_is_refused(share: Any) -> None:
    with pytest.raises(ValidationError):
        MagnitudePruning(sparsity=share)  # 43; 1.0 too: a tensor keeps one weight


def test_a_whole_row_goes_by_its_norm() -> None:
    masked = products(w=floats([[1, 2, 3, 0], [5, 6, 0, 8]]))
    options = {"criterion": "l2", "structure": "block"}
    columns = kept(masked, **options, block="1x*", sparsity=0.25)  # stored as inputs, outputs
    rows = kept(masked, **options, block="*x1", sparsity=0.5)
    assert rows == [[0, 0, 0, 0], [1, 1, 0, 1]]  # 45, dim 0
    assert columns == [[1, 1, 0, 0], [1, 1, 0, 1]]  # 45, dim 1: see decision 0014


SCORES = [[4, 2, 1, 3], [-3, -1, -2, -4]]


def given(**scores: Any) -> dict[str, Any]:
    return {"use": "given", "scores": {name: floats(s) for name, s in scores.items()}}


def test_scores_of_ones_own_and_again_of_what_remains() -> None:
    model = products(w=floats([[1, 2, 3, 4], [-4, -3, -2, -1]]))
    options = {"criterion": given(w=SCORES), "sparsity": 0.25, "of": "remaining"}
    once = pruned(model, **options)["w"]
    assert once.tolist() == [[1, 2, 0, 4], [-4, 0, -2, -1]]  # 47
    assert pruned(products(w=once), **options)["w"].tolist() == [[1, 0, 0, 4], [-4, 0, 0, -1]]


def test_random_slices_along_an_axis() -> None:
    model = products(w=np.ones((5, 4, 2), np.float32))
    options = {"criterion": "random", "structure": "block", "block": "1x*x*", "sparsity": 0.6}
    after = pruned(model, **options)["w"]
    assert sorted(after.sum(axis=(0, 1)).tolist()) == [0, 20]  # 49


def test_scores_of_ones_own_rank_all_tensors_together() -> None:
    model = products(a=floats([[1, 2, 3, 4], [-4, -3, -2, -1]]), b=floats([[0, 0.1, -2]]))
    criterion = given(a=SCORES, b=[[0, 10, -0.2]])
    after = pruned(model, criterion=criterion, scope="global", sparsity=4 / 11)
    assert after["a"].tolist() == [[1, 2, 0, 4], [-4, 0, -2, -1]]  # 51
    assert after["b"].tolist() == [[0, pytest.approx(0.1), 0]]


def test_scores_of_ones_own_leave_zeros_that_are_there() -> None:
    masked = floats([[1, 1, 1, 0], [1, 1, 0, 1]])
    criterion = given(w=[[1, 2, 3, 4], [1.5, 1.6, 1.7, 1.8]])
    mask = kept(products(w=masked), criterion=criterion, sparsity=2 / 6, of="remaining")
    assert mask == [[0, 1, 1, 0], [0, 1, 0, 1]]  # 53


# torchao.


@pytest.mark.parametrize("block", ["1x1", "1x4", "2x2", "4x1"])
@pytest.mark.parametrize(("level", "share"), [(0, 0), (0.5, 0.5)])
def test_blocks_of_ones_are_pruned_exactly(block: str, level: float, share: float) -> None:
    options: dict[str, Any] = {"structure": "block", "block": block, "sparsity": level}
    assert zeros(pruned(products(w=np.ones((12, 12), np.float32)), **options)["w"]) == 144 * share


@pytest.mark.parametrize("zeros_of_four", [1, 2, 3])
def test_every_four_in_a_row_have_exactly_so_many_zeros(zeros_of_four: int) -> None:
    model = products(w=np.ones((12, 12), np.float32))
    after = pruned(model, structure="n:m", pattern=f"{4 - zeros_of_four}:4", axis=1)["w"]
    assert (np.sum(after.reshape(-1, 4) == 0, axis=1) == zeros_of_four).all()  # 55


def test_the_smallest_rows_go() -> None:
    model = products(w=np.repeat(floats([1, 2, 3, 4]), 4).reshape(4, 4).T)
    mask = kept(model, structure="block", block="1x*")
    assert np.transpose(mask).tolist() == [[0] * 4, [0] * 4, [1] * 4, [1] * 4]  # 59


def test_the_largest_of_a_row_stay() -> None:
    model = products(w=floats([[1, -3, 2, -0.5]]))
    assert kept(model, structure="n:m", axis=1) == [[0, 1, 1, 0]]  # 63


def test_a_share_of_whole_rows() -> None:
    rng = np.random.default_rng(0)
    model = products(w=rng.standard_normal((3, 5)).astype(np.float32))
    mask = kept(model, criterion="l2", structure="block", block="1x*", sparsity=0.6)
    assert np.transpose(mask).sum() == 2 * 3  # 63: 3 of 5 rows are zero


def test_rows_of_all_matrices_together_but_one_of_each_stays() -> None:
    rng = np.random.default_rng(0)
    base = rng.uniform(1, 2, (4, 8)).astype(np.float32)
    model = products(large=base * 10, small=base * floats(0.1))
    options = {"criterion": "l2", "structure": "block", "block": "1x*", "scope": "global"}
    after = pruned(model, **options)
    rows = {name: int(np.any(array != 0, axis=0).sum()) for name, array in after.items()}
    assert rows == {"large": 7, "small": 1}  # 63 has 8 and 0: see decision 0014


# Distiller.


def test_kernels_whose_sum_reaches_no_threshold_go() -> None:
    norms = floats([6.5997, 7.7756, 5.8073, 8.4522, 5.9498, 6.4908]).reshape(2, 3, 1, 1)
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((2, 3, 3, 3))
    weight *= norms / np.abs(weight).sum(axis=(2, 3), keepdims=True)
    model = convolution(weight.transpose(2, 3, 1, 0))
    options: dict[str, Any] = {
        "structure": "block",
        "block": "1x1x*x*",
        "pooling": "sum",
        "threshold": 6,
    }
    mask = np.array(kept(model, **options))
    assert mask.any(axis=(2, 3)).ravel().astype(int).tolist() == [1, 1, 0, 1, 0, 1]  # 73


@pytest.mark.parametrize(
    ("criterion", "figures", "pooling", "threshold", "expected"),
    [
        ("l2", [4.3593**2, 3.6394**2, 3.9037**2], "sum", 3.7**2, [1, 0, 1]),
        ("l1", [0.8362, 0.7625, 0.6832], "mean", 0.7, [1, 1, 0]),
    ],
)
def test_channels_below_a_threshold_go(
    criterion: str, figures: list[float], pooling: str, threshold: float, expected: list[int]
) -> None:
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.1, 1, (3, 3, 3, 2))
    power, reduce = (2, np.sum) if criterion == "l2" else (1, np.mean)
    now = reduce(weight**power, axis=(0, 1, 3), keepdims=True)
    weight *= (np.reshape(figures, (1, 1, 3, 1)) / now) ** (1 / power)
    options = {"criterion": criterion, "structure": "block", "block": "*x1x*x*"}
    mask = np.array(kept(convolution(weight), **options, pooling=pooling, threshold=threshold))
    assert mask.any(axis=(0, 2, 3)).astype(int).tolist() == expected  # 75


def test_a_threshold_takes_what_is_below_it() -> None:
    weight = np.ones((3 * 64, 32 * 32), np.float32)
    weight[5, 7] = 0.2
    assert zeros(pruned(products(w=weight), threshold=0.3)["w"]) == 1  # 77


def test_a_level_and_a_sensitivity() -> None:
    rng = np.random.default_rng(0)
    uniform = products(w=rng.uniform(-1, 1, (300, 400)).astype(np.float32))
    assert zeros(pruned(uniform, sparsity=0.3)["w"]) / 120_000 == pytest.approx(0.3, abs=1e-4)
    normal = products(w=rng.standard_normal((300, 400)).astype(np.float32))
    after = pruned(normal, sensitivity=1)["w"]
    assert zeros(after) / 120_000 == pytest.approx(0.6827, abs=0.005)  # 77
