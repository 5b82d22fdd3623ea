"""N of every M, along any axis of anything that layers store."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.data.batch import Array
from onnxpress.errors import OptionError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress.testing import check_transform, model_from_text
from onnxpress_pruning import MagnitudePruning
from onnxpress_pruning.structures.n_m import n_of_m
from tests.plugins.pruning.models import products, pruned, weights_of


def normal(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def expected(weight: Array, keep: int, of: int, axis: int) -> Array:
    """Go through every row, group by group, and sort."""
    mask = np.ones(weight.shape, bool)
    for place in np.ndindex(*(n for i, n in enumerate(weight.shape) if i != axis)):
        row = weight[(*place[:axis], slice(None), *place[axis:])]
        goes = mask[(*place[:axis], slice(None), *place[axis:])]
        for start in range(0, len(row), of):
            group = np.abs(row[start : start + of])
            pruned_already = of - len(group)
            order = np.argsort(group, kind="stable")
            goes[start + order[: max(0, of - keep - pruned_already)]] = False
    return mask


@pytest.mark.parametrize(("keep", "of"), [(1, 2), (2, 4), (1, 4), (3, 4), (4, 8), (3, 7), (5, 16)])
@pytest.mark.parametrize("shape", [(9,), (16, 5), (6, 17, 3), (2, 10, 3, 3), (2, 3, 2, 2, 20)])
def test_it_is_what_sorting_each_group_gives(keep: int, of: int, shape: tuple[int, ...]) -> None:
    weight = np.random.default_rng(of).integers(-5, 6, shape).astype(np.float32)  # with ties
    for axis in range(len(shape)):
        mask = ~n_of_m(np.abs(weight), keep, of, axis)
        assert np.array_equal(mask, expected(weight, keep, of, axis))


LAYERS = {
    "conv 1-d": ("(float[N,8,9] x) => (float[N,M,H] y) { y = Conv(x, w) }", (4, 8, 3), 1),
    "conv 2-d": ("(float[N,8,9,9] x) => (float[N,M,H,W] y) { y = Conv(x, w) }", (4, 8, 3, 3), 1),
    "conv 3-d": (
        "(float[N,8,5,5,5] x) => (float[N,M,D,H,W] y) { y = Conv(x, w) }",
        (4, 8, 3, 3, 3),
        1,
    ),
    "groups": (
        "(float[N,16,9,9] x) => (float[N,M,H,W] y) { y = Conv<group=2>(x, w) }",
        (4, 8, 3, 3),
        1,
    ),
    "transposed": (
        "(float[N,8,5,5] x) => (float[N,M,H,W] y) { y = ConvTranspose(x, w) }",
        (8, 4, 3, 3),
        0,
    ),
    "gemm": ("(float[N,8] x) => (float[N,6] y) { y = Gemm(x, w) }", (8, 6), 0),
    "gemm, B transposed": (
        "(float[N,8] x) => (float[N,6] y) { y = Gemm<transB=1>(x, w) }",
        (6, 8),
        1,
    ),
    "gemm on the left": ("(float[8,N] x) => (float[6,N] y) { y = Gemm(w, x) }", (6, 8), 1),
    "matmul": ("(float[N,8] x) => (float[N,6] y) { y = MatMul(x, w) }", (8, 6), 0),
    "matmul of many": (
        "(float[3,N,8] x) => (float[3,N,6] y) { y = MatMul(x, w) }",
        (3, 8, 6),
        1,
    ),
    "matmul behind a transpose": (
        "(float[N,8] x) => (float[N,6] y) { t = Transpose(w)\n y = MatMul(x, t) }",
        (6, 8),
        1,
    ),
    "embedding": ("(int64[N] x) => (float[N,8] y) { y = Gather(w, x) }", (5, 8), 1),
}


@pytest.mark.parametrize("name", LAYERS)
def test_rows_run_along_the_input_channels_of_every_layer(name: str) -> None:
    text, shape, axis = LAYERS[name]
    weight = normal(*shape)
    after = pruned(model_from_text(f"g {text}", w=weight), structure="n:m", pattern="2:4")["w"]
    assert np.array_equal(after, weight * expected(weight, 2, 4, axis))


def test_both_matrices_of_a_recurrent_layer() -> None:
    model = model_from_text(
        """g (float[S,N,8] x) => (float[S,1,N,4] y) {
            y, h, c = LSTM<hidden_size=4>(x, w, r)
        }""",
        w=normal(1, 16, 8),
        r=normal(1, 16, 4),
    )
    after = pruned(model, structure="n:m")
    for array in after.values():
        assert (np.sum(array.reshape(-1, 4) != 0, axis=1) == 2).all()


@pytest.mark.parametrize(("axis", "stored"), [("output", 1), (0, 0), (1, 1), (-1, 1), ("input", 0)])
def test_the_axis_can_be_chosen(axis: Any, stored: int) -> None:
    weight = normal(8, 12)
    after = pruned(products(w=weight), structure="n:m", pattern="1:4", axis=axis)["w"]
    assert np.array_equal(after, weight * expected(weight, 1, 4, stored))


def test_zeros_go_first_and_what_is_no_number_stays() -> None:
    weight = np.array([[0, 5, np.nan, 1], [0, 0, 0, 3]], np.float32)
    after = pruned(products(w=weight), structure="n:m", axis=1)["w"]
    expected: list[list[float]] = [[0, 5, np.nan, 0], [0, 0, 0, 3]]
    assert np.array_equal(after, expected, equal_nan=True)


def test_doing_it_again_changes_nothing_and_says_why() -> None:
    step, job = MagnitudePruning(structure="n:m"), Job()
    once = step.apply(products(w=normal(10, 4)), Job())
    again = step.apply(once, job)
    assert np.array_equal(weights_of(again)["w"], weights_of(once)["w"])
    assert [d.reason for d in job.declined] == [
        "w: it keeps no more than 2 of every 4 along axis 0 already"
    ]


def first_and_second() -> Model:
    """Return a network whose first layer has three input channels."""
    return model_from_text(
        """g (float[N,3,9,9] x) => (float[N,M,H,W] y) {
            h = Conv(x, first)
            y = Conv(h, second)
        }""",
        first=normal(8, 3, 3, 3),
        second=normal(4, 8, 3, 3),
    )


def test_an_axis_that_is_too_short_is_declined() -> None:
    job = Job()
    after = weights_of(MagnitudePruning(structure="n:m").apply(first_and_second(), job))
    assert np.count_nonzero(after["first"]) == 8 * 27
    assert np.count_nonzero(after["second"]) == 4 * 8 * 9 / 2
    (declined,) = job.declined
    assert "only 3 along axis 1 (input), and the pattern 2:4 needs 4" in declined.reason


@pytest.mark.parametrize("options", [{"layers": "first"}, {"pattern": "2:16"}])
def test_it_is_an_error_for_a_layer_that_was_named_and_if_none_is_long_enough(
    options: dict[str, Any],
) -> None:
    with pytest.raises(OptionError, match=r"first has only 3 along axis 1 \(input\)"):
        pruned(first_and_second(), structure="n:m", **options)


def test_an_axis_that_there_is_not_is_an_error() -> None:
    with pytest.raises(OptionError, match="has no axis 7"):
        pruned(products(w=normal(8, 8)), structure="n:m", axis=7)


def test_it_keeps_the_laws_of_a_transform() -> None:
    check_transform(MagnitudePruning(structure="n:m"), first_and_second())


def test_a_table_tied_to_a_matrix_has_one_pattern_for_both() -> None:
    model = model_from_text(
        """g (int64[N] ids) => (float[N,6] y) {
            e = Gather(table, ids)
            t = Transpose(table)
            y = MatMul(e, t)
        }""",
        table=normal(6, 8),
    )
    after = pruned(model, structure="n:m")["table"]
    assert (np.sum(after.reshape(-1, 4) != 0, axis=1) == 2).all()
