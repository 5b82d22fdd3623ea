"""Blocks of any number of axes, their scores and their exact number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from onnxpress.data.batch import Array
from onnxpress.errors import OptionError
from onnxpress.job import Job
from onnxpress.testing import check_transform, model_from_text
from onnxpress_pruning import MagnitudePruning
from tests.plugins.pruning.models import products, pruned


def normal(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def conv(weight: Array) -> Any:
    return model_from_text(
        f"g (float[N,{weight.shape[1]},9,9] x) => (float[N,M,H,W] y) {{ y = Conv(x, w) }}", w=weight
    )


def blocks_of(array: Array, sizes: tuple[int, ...]) -> list[Array]:
    """Cut an array into blocks; those at the end may be smaller."""
    starts = [range(0, n, size) for n, size in zip(array.shape, sizes, strict=True)]
    corners = np.stack(np.meshgrid(*starts, indexing="ij"), -1).reshape(-1, len(sizes))
    return [
        array[tuple(slice(c, c + size) for c, size in zip(corner, sizes, strict=True))]
        for corner in corners
    ]


@pytest.mark.parametrize("pooling", ["mean", "max", "sum"])
@pytest.mark.parametrize("sizes", [(1, 4, 1, 1), (4, 1, 1, 1), (2, 3, 1, 3), (1, 1, 3, 3)])
@pytest.mark.parametrize("sparsity", [0.25, 0.6])
def test_the_lowest_blocks_go_and_their_number_is_exact(
    sizes: tuple[int, ...], pooling: str, sparsity: float
) -> None:
    weight = normal(6, 7, 3, 3)
    options: dict[str, Any] = {"structure": "block", "block": sizes, "pooling": pooling}
    after = pruned(conv(weight), sparsity=sparsity, **options)["w"]
    pool: Any = {"mean": np.mean, "max": np.max, "sum": np.sum}[pooling]
    scores = [pool(np.abs(block)) for block in blocks_of(weight, sizes)]
    count = round(sparsity * len(scores))
    lowest = set(np.argsort(scores, kind="stable")[:count].tolist())
    for number, (old, new) in enumerate(
        zip(blocks_of(weight, sizes), blocks_of(after, sizes), strict=True)
    ):
        assert np.array_equal(new, 0 * old if number in lowest else old)


@pytest.mark.parametrize(
    ("text", "axes"),
    [("MatMul(x, w)", (1, 0)), ("Gemm(x, w)", (1, 0)), ("Gemm<transB=1>(x, w)", (0, 1))],
)
def test_a_block_is_the_same_weights_however_they_are_stored(
    text: str, axes: tuple[int, int]
) -> None:
    stored = normal(6, 8).transpose(axes)  # outputs, inputs
    model = model_from_text(f"g (float[N,8] x) => (float[N,6] y) {{ y = {text} }}", w=stored)
    after = pruned(model, structure="block", block="1x4", sparsity=0.25)["w"]
    blocks = blocks_of(after.transpose(axes), (1, 4))
    assert sum(not block.any() for block in blocks) == 3


@pytest.mark.parametrize("block", ["*x1x*x*", [0, 1, 0, 0], ["*", "1", "*", "*"]])
def test_a_star_is_a_whole_axis(block: Any) -> None:
    after = pruned(conv(normal(6, 8, 3, 3)), structure="block", block=block, sparsity=0.5)["w"]
    assert (after != 0).any(axis=(0, 2, 3)).sum() == 4
    assert (after != 0).all(axis=(0, 2, 3)).sum() == 4


def test_sizes_that_are_left_out_are_one() -> None:
    weight = normal(6, 8, 3, 3)
    options: dict[str, Any] = {"structure": "block", "sparsity": 0.3}
    short = pruned(conv(weight), block="2x4", **options)["w"]
    assert np.array_equal(short, pruned(conv(weight), block="2x4x1x1", **options)["w"])
    vector = model_from_text("g (float[N,8] x) => (float[N] y) { y = MatMul(x, w) }", w=normal(8))
    assert np.count_nonzero(pruned(vector, block="4x1x1", **options | {"sparsity": 0.5})["w"]) == 4


def test_a_block_never_outgrows_its_axis() -> None:
    weight = normal(4, 6)
    options: dict[str, Any] = {"structure": "block", "sparsity": 0.5}
    large, all_ = (pruned(products(w=weight), block=b, **options)["w"] for b in ("1x99", "1x*"))
    assert np.array_equal(large, all_)


def test_all_blocks_are_ranked_together_in_global_scope() -> None:
    model = products(a=normal(8, 8), b=normal(8, 8) * 100)
    after = pruned(model, structure="block", block="2x2", sparsity=0.25, scope="global")
    assert np.count_nonzero(after["a"]) == 64 - 4 * 8
    assert np.count_nonzero(after["b"]) == 64


def test_blocks_of_zeros_count_as_pruned() -> None:
    weight = normal(8, 8)
    weight[:4, 2:] = 0
    options: dict[str, Any] = {"structure": "block", "block": "2x4"}
    after = pruned(products(w=weight), sparsity=3 / 8, **options)["w"]
    assert np.array_equal(after, weight)


def test_a_tensor_with_too_few_axes_is_declined_or_an_error() -> None:
    model = model_from_text(
        """g (float[N,4,9,9] x) => (float[N,4] y) {
            h = Conv(x, first)
            p = GlobalAveragePool(h)
            f = Flatten(p)
            y = MatMul(f, last)
        }""",
        first=normal(4, 4, 3, 3),
        last=normal(4, 4),
    )
    step, job = MagnitudePruning(structure="block", block=(1, 1, 3, 3)), Job()
    step.apply(model, job)
    assert [d.reason for d in job.declined] == ["last has 2 axes, too few for blocks of 1x1x3x3"]
    with pytest.raises(OptionError, match="last has 2 axes"):
        pruned(model, structure="block", block="1x1x3x3", layers="last")


@pytest.mark.parametrize("block", ["", "axb", "1x-4", 4, [2.5, 1]])
def test_what_is_no_block_is_told_how_to_write_one(block: Any) -> None:
    with pytest.raises(ValidationError, match="1x4"):
        MagnitudePruning(structure="block", block=block)


def test_it_keeps_the_laws_of_a_transform() -> None:
    check_transform(MagnitudePruning(structure="block", block=(2, 2)), conv(normal(4, 4, 3, 3)))
