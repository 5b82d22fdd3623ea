"""The numbers about taking parts out that other projects' test suites expect.

The numbers at the end of a line are those of the list of facts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxpress.channels import find_channels
from onnxpress.data import open_data
from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from onnxpress.job import Job
from tests.graphs import graph, normal
from tests.plugins.pruning.removal.nets import MAGNITUDES, SALIENCIES, cut, widths

SHARED = Path("/work/shared")
RESNET = SHARED / "models/cifar10_resnet20/resnet20_bn.onnx"
PREPARED = "scale=0.00392156862745098&mean=0.485,0.456,0.406&std=0.229,0.224,0.225&layout=nchw"
needs_shared = pytest.mark.skipif(not RESNET.exists(), reason="/work/shared is not there")


def dense(first: Any, **more: Any) -> Model:
    """Return two dense layers: the rows of `first` are the neurons; the second adds them up."""
    rows = np.asarray(first, np.float32)
    return graph(
        f"g (float[N,{rows.shape[1]}] x) => (float[N,1] y) {{ a = Gemm<transB = 1>(x, w)\n"
        " y = MatMul(a, u) }",
        w=rows,
        u=np.ones((len(rows), 1), np.float32),
        **more,
    )


def stored(model: Model, name: str) -> Array:
    return next(layer for layer in model.layers if layer.name == name).weight.array()


def test_rows_of_the_largest_norm_stay() -> None:
    weight = [[row] * 4 for row in (1, 2, 3, 4)]
    made = cut(dense(weight), ratio=0.5, round_to=1, recalibrate="none")
    assert stored(made, "a").tolist() == [[3] * 4, [4] * 4]  # 59


def test_the_row_of_smaller_norm_goes() -> None:
    made = cut(dense([[1, 2, 3, 4], [5, 6, 7, 8]]), criterion="l2", round_to=1, recalibrate="none")
    assert stored(made, "a").tolist() == [[5, 6, 7, 8]]  # 45, dim 0


def test_chance_takes_the_share_of_slices() -> None:
    model = dense(np.ones((2, 5)))
    made = cut(model, criterion="random", ratio=0.6, round_to=1, recalibrate="none")
    assert stored(made, "a").shape == (1, 5)  # 49: one of two


def test_the_geometric_median_goes_not_the_smallest() -> None:
    first = np.array([3, 2, 0.1])[:, None, None, None] * np.ones((3, 1, 3, 3))
    model = graph(
        "g (float[N,1,8,8] x) => (float[N,4,4,4] y) { a = Conv(x, w)\n y = Conv(a, u) }",
        w=first,
        u=normal(4, 3, 3, 3),
    )
    made = cut(model, criterion="fpgm", ratio=1 / 3, round_to=1, recalibrate="none")
    assert stored(made, "a")[:, 0, 0, 0].tolist() == pytest.approx([3, 0.1])  # 61
    assert stored(made, "y").shape == (4, 2, 3, 3)


def test_half_of_the_filters_and_of_the_inputs_of_the_next_layer() -> None:
    second = np.array([6, 7, 0.4, 0.5])[:, None, None, None] * np.ones((4, 3, 3, 3))
    model = graph(
        "g (float[N,1,9,9] x) => (float[N,2,3,3] z) "
        "{ a = Conv(x, w)\n b = Conv(a, u)\n z = Conv(b, v) }",
        w=np.array([3, 2, 0.1])[:, None, None, None] * np.ones((3, 1, 3, 3)),
        u=second,
        v=normal(2, 4, 3, 3),
    )
    options: dict[str, Any] = {"criterion": "fpgm", "round_to": 1, "recalibrate": "none"}
    made = cut(model, sparsities={"a": 1 / 3, "b": 0.5}, **options)
    kept = stored(made, "b")
    assert kept.shape == (2, 2, 3, 3)  # 61: 6 and 0.5 are equally far from the others
    assert kept[0, 0, 0, 0] == 7


def test_cutting_filters_shrinks_the_dense_layer_after_flatten() -> None:
    model = graph(
        "g (float[N,3,8,8] x) => (float[N,10] y) { a = Conv<pads = [1,1,1,1]>(x, w)\n"
        " r = Relu(a)\n p = MaxPool<kernel_shape = [4,4], strides = [4,4]>(r)\n"
        " f = Flatten(p)\n y = Gemm<transB = 1>(f, u, b) }",
        w=normal(16, 3, 3, 3),
        u=normal(10, 16 * 4),
        b=normal(10),
    )
    made = cut(model, recalibrate="none")
    assert stored(made, "a").shape == (8, 3, 3, 3)
    assert stored(made, "y").shape == (10, 8 * 4)  # 83: four places of each channel that is left
    assert made.run({"x": normal(2, 3, 8, 8)})["y"].shape == (2, 10)


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("criterion", [*MAGNITUDES, *SALIENCIES])
def test_resnet20_at_its_promised_cost(criterion: str, scope: str) -> None:
    """Every criterion keeps the budget, and uses it as far as multiples of 8 allow."""
    model = Model.load(RESNET)
    source = f"{SHARED}/data/cifar10_train_20k.npz:input=x,labels=y?limit=32&batch=32&{PREPARED}"
    job = Job(open_data(source, model))
    made = cut(model, job=job, criterion=criterion, scope=scope, macs=0.6, recalibrate="none")
    made.check()
    left = {change.subject: change.details["channels"] for change in job.changed}
    assert (made.cost().macs, made.cost().parameters) == find_channels(model).cost(left)
    assert 0.55 < made.cost().macs / model.cost().macs <= 0.6
    assert all(count % 8 == 0 for count in left.values())


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("criterion", ["l1", "random", "wanda", "synflow"])
def test_heads_of_a_llama_go_with_the_keys_that_they_share(criterion: str) -> None:
    model = Model.load(SHARED / "models/stories260k/stories260k.onnx")
    tokens = np.random.default_rng(0).integers(0, 500, (8, 12))
    options: dict[str, Any] = {"structure": "head", "layers": ["*/w[qkv]/*"], "ratio": 0.5}
    job = Job(open_data({"tokens": tokens}, model))
    made = cut(model, job=job, criterion=criterion, **options)
    made.check()
    # 8 heads of 8 dimensions, two for each of 4 keys: what can go are the 4 pairs.
    assert [c.details["channels"] for c in job.changed if "of" in c.details] == [2] * 5
    left = widths(made)
    assert (left["/layers.0/wq/MatMul"], left["/layers.0/wk/MatMul"]) == (32, 16)
    logits = next(iter(made.run({"tokens": tokens}).values()))
    assert logits.shape[:2] == (8, 12)
    assert np.isfinite(logits).all()
