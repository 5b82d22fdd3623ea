"""Mean replacement is exact where what was pruned never changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.calibration.kept import kept_positions
from onnxpress.calibration.moments import output_means
from onnxpress.calibration.replacement import replace_means
from onnxpress.channels import find_channels
from onnxpress.graph.model import Model
from onnxpress.job import Job
from tests.core.calibration.data import Arrays
from tests.graphs import graph, normal

HEADS: dict[str, tuple[str, dict[str, tuple[int, ...]]]] = {
    "conv": ("y = Conv(c, w)", {"w": (2, 6, 3, 3)}),
    "conv with a bias": ("y = Conv(c, w, d)", {"w": (2, 6, 1, 1), "d": (2,)}),
    "groups": ("y = Conv<group=2>(c, w)", {"w": (2, 3, 3, 3)}),
    "conv and norm": (
        "k = Conv(c, w) y = BatchNormalization(k, s2, b2, m2, v2)",
        {"w": (2, 6, 1, 1), "s2": (2,), "b2": (2,), "m2": (2,)},
    ),
    "pool and gemm": (
        "p = GlobalAveragePool(c) q = Flatten(p) y = Gemm<alpha=0.5, transB=1>(q, w)",
        {"w": (2, 6)},
    ),
    "flatten and product": ("q = Flatten(c) y = MatMul(q, w)", {"w": (120, 2)}),
}


def network(case: str) -> Model:
    """Return conv, norm, relu and a head; the channels 1 and 4 have no weights."""
    body, shapes = HEADS[case]
    conv = normal(6, 3, 1, 1, seed=1)
    conv[[1, 4]] = 0
    tensors: dict[str, Any] = {n: normal(*shape, seed=3) for n, shape in shapes.items()}
    tensors |= {"w1": conv, "s": normal(6, seed=2), "b": normal(6, seed=4) + 2, "m": normal(6)}
    tensors["v"] = np.full(6, 0.5, np.float32)
    if "m2" in shapes:
        tensors["v2"] = np.full(2, 0.3, np.float32)
    rank = 2 if "Flatten" in body else 4
    dims = ",".join(["N", "D", "P", "Q"][:rank])
    return graph(
        f"""g (float[N,3,4,5] x) => (float[{dims}] y) {{
            a = Conv(x, w1)
            n = BatchNormalization(a, s, b, m, v)
            c = Relu(n)
            {body}
        }}""",
        **tensors,
    )


@pytest.mark.parametrize("case", HEADS)
def test_removing_dead_channels_changes_nothing(case: str) -> None:
    model = network(case)
    channels = find_channels(model)
    group = channels.group("a")
    # In groups of channels, one of each goes, at the same place.
    gone = {"a": [1, 4] if group.size == 6 else [1]}
    pruned, job = channels.cut(gone), Job()
    result = replace_means(model, pruned, job, kept=kept_positions(channels.groups, gone))
    result.check()
    x = normal(2, 3, 4, 5, seed=9)
    before, without, after = (m.run({"x": x})["y"] for m in (model, pruned, result))
    assert not job.declined
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)
    assert abs(without - before).max() > 0.01


def test_zeroed_weights_are_replaced_too() -> None:
    model = network("conv with a bias")
    edit = model.edit()
    head = next(found for found in edit.layers if found.name == "y")
    array = np.array(head.weight.array())
    array[:, 1] = 0
    edit.set_weight(head.weight, array)
    result = replace_means(model, edit.done(), Job())
    x = normal(2, 3, 4, 5, seed=9)
    np.testing.assert_allclose(result.run({"x": x})["y"], model.run({"x": x})["y"], atol=1e-4)


def test_live_channels_keep_the_mean_nearly() -> None:
    """Data that fits the statistics: the mean of the next layer moves by far less."""
    model = network("conv")
    data = Arrays([normal(256, 3, 4, 5, seed=5)])
    moments = output_means(model, data, {"a": 1}, Job())["a"]
    edit = model.edit()
    norm = next(found for found in edit.layers if found.name == "n")
    for weight in norm.weights:
        if weight.role in {"mean", "variance"}:
            spread = (normal(6, 3, 1, 1, seed=1)[:, :, 0, 0] ** 2).sum(1)
            new = moments if weight.role == "mean" else spread
            edit.set_weight(weight, new.astype(np.float32))
    model = edit.done()
    channels = find_channels(model)
    gone = {"a": [0, 2]}
    pruned = channels.cut(gone)
    result = replace_means(model, pruned, Job(), kept=kept_positions(channels.groups, gone))
    before, without, after = (
        output_means(m, data, {"y": 1}, Job())["y"] for m in (model, pruned, result)
    )
    assert abs(after - before).max() < 0.05 * abs(without - before).max()


def test_what_is_not_known_is_declined() -> None:
    model = graph(
        "g (float[N,4] x) => (float[N,2] y) { a = Gemm(x, v) r = Relu(a) y = Gemm(r, w) }",
        v=normal(4, 4, seed=1),
        w=normal(4, 2, seed=2),
    )
    channels = find_channels(model)
    gone = {"a": [3]}
    pruned, job = channels.cut(gone), Job()
    assert replace_means(model, pruned, job, kept=kept_positions(channels.groups, gone)) is pruned
    assert [d.subject for d in job.declined] == ["y"]
    assert "the mean of 1 of the 1 inputs" in job.declined[0].reason
    job = Job()
    replace_means(model, pruned, job)
    assert "not said which" in job.declined[0].reason


def test_kept_positions_follow_groups() -> None:
    channels = find_channels(network("flatten and product"))
    kept = kept_positions(channels.groups, {"a": [1, 4]})
    assert kept["w1", 0].tolist() == [True, False, True, True, False, True]
    assert kept["w", 0].sum() == 4 * 20
    assert not kept["w", 0][20:40].any()
