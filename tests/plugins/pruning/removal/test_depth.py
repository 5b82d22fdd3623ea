"""structure=depth: residual blocks, and layers that keep the shape, are left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.errors import OptionError, UnknownNameError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from tests.graphs import graph, normal
from tests.plugins.pruning.removal.nets import attention, cut, images, residual, widths


def shorter(model: Model, **options: Any) -> tuple[set[str], Job]:
    """Return the layers that are left of a model, and what was said."""
    job = Job()
    made = cut(model, job=job, structure="depth", **{"recalibrate": "none", **options})
    made.check()
    return set(widths(made)), job


def scaled(model: Model, **factors: float) -> Model:
    """Multiply the weights of layers."""
    edit = model.edit()
    for layer in edit.layers:
        if layer.name in factors:
            array = layer.weight.array()
            edit.set_weight(layer.weight, (array * factors[layer.name]).astype(array.dtype))
    return edit.done()


def test_the_block_of_smallest_weights_goes() -> None:
    model = scaled(residual(3), a2=0.01, b2=0.01, a2_n=0.01, b2_n=0.01)
    left, job = shorter(model, ratio=0.3)
    assert left == {"stem", "a1", "b1", "a3", "b3", "fc"}
    assert job.changed[0].subject == "a2"
    assert job.changed[0].details == {"left_out": "a2, a2_n, b2, b2_n"}
    assert job.summary == "1 of 3 blocks left out"


def test_without_a_block_the_model_gives_what_it_reads_there() -> None:
    model = scaled(residual(2), b2_n=0.0)
    edit = model.edit()
    norm = next(layer for layer in edit.layers if layer.name == "b2_n")
    for weight in norm.weights:
        if weight.role == "bias":
            edit.set_weight(weight, np.zeros(16, np.float32))
    model = edit.done()
    made = cut(model, structure="depth", layers=["a2*", "b2*"], ratio=0.99, recalibrate="none")
    x = {"x": normal(4, 3, 8, 8)}
    np.testing.assert_allclose(made.run(x)["fc"], model.run(x)["fc"], rtol=1e-4, atol=1e-5)
    assert "a2" not in widths(made)


def test_blocks_next_to_each_other_may_all_go() -> None:
    left, job = shorter(residual(3), ratio=0.99)
    assert left == {"stem", "fc"}
    assert {change.subject for change in job.changed} == {"a1", "a2", "a3"}


def test_a_layer_that_keeps_the_shape_counts_as_a_block() -> None:
    model = graph(
        "g (float[N,8] x) => (float[N,2] y) { a = MatMul(x, w)\n b = Relu(a)\n y = MatMul(b, u) }",
        w=normal(8, 8),
        u=normal(8, 2),
    )
    left, job = shorter(model, ratio=0.9)
    assert left == {"y"}
    assert job.changed[0].details == {"left_out": "a"}


def test_a_block_that_gives_an_output_leaves_it_its_name() -> None:
    model = graph(
        "g (float[N,8] x) => (float[N,8] y) { a = MatMul(x, w)\n b = Relu(a)\n y = Add(x, b) }",
        w=normal(8, 8),
    )
    made = cut(model, structure="depth", ratio=0.9, recalibrate="none")
    x = normal(3, 8)
    np.testing.assert_array_equal(made.run({"x": x})["y"], x)


def test_only_blocks_of_which_all_layers_are_chosen() -> None:
    left, job = shorter(residual(3), exclude=["b2"], ratio=0.99)
    assert left == {"stem", "a2", "b2", "fc"}
    declined = {d.subject: d.reason for d in job.declined}
    assert declined == {"a2": "b2, which is in the same block, is not chosen"}


@pytest.mark.parametrize("name", ["macs", "parameters", "bytes"])
def test_the_fewest_blocks_that_keep_a_budget(name: str) -> None:
    left, job = shorter(residual(4), **{name: 0.6})
    assert len(job.changed) == 2  # stem and fc are small: each block is almost a quarter
    assert {"stem", "fc"} < left


def test_a_budget_that_is_met_already() -> None:
    left, job = shorter(residual(2), macs=residual(2).cost().macs)
    assert {"a1", "b1", "a2", "b2"} < left
    assert "is met by all 2 blocks" in job.declined[-1].reason


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"macs": 0.01}, r"macs=0.01 \(6,176\) can't be met .* 27,808 are left without all 2"),
        ({"macs": 0.3, "at_most": 0.5}, r"left without all 1 that may go"),
        ({"macs": 0.3, "exclude": ["b1"]}, r"left without all 1 that may go"),
    ],
)
def test_a_budget_that_can_not_be_met(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        shorter(residual(2), **options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"ratio": 0.1}, "a share of 0.1 of 3 blocks rounds to none"),
        ({"ratio": 0.9, "at_most": 0.3}, "at-most=0.3 of 3 blocks lets none go"),
        ({"layers": ["fc"]}, "no chosen layer is a residual block, or gives the shape it reads"),
    ],
)
def test_why_nothing_goes(options: dict[str, Any], reason: str) -> None:
    left, job = shorter(residual(3), **options)
    assert len(left) == 8
    assert job.declined[-1].reason == reason


def test_attention_without_its_sum_is_no_block() -> None:
    left, _ = shorter(attention(), ratio=0.99, at_most=0.25)
    assert len(left) == 4  # one of the four square projections


def test_an_unknown_layer_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="no layer called 'a9'"):
        shorter(residual(2), layers=["a9"])


@pytest.mark.parametrize("criterion", ["l1", "l2", "random", "taylor", "fisher", "snip"])
def test_criteria_of_single_weights_rank_blocks(criterion: str) -> None:
    model = residual(3)
    jobs = [Job(images(model)), Job(images(model))]
    made = [cut(model, job=job, structure="depth", ratio=0.4, criterion=criterion) for job in jobs]
    assert widths(made[0]) == widths(made[1])
    assert len([change for change in jobs[0].changed if "left_out" in change.details]) == 1


@pytest.mark.parametrize("criterion", ["fpgm", "apoz", "bn-scale"])
def test_criteria_of_whole_channels_can_not(criterion: str) -> None:
    with pytest.raises(OptionError, match="ranks whole channels, not single weights"):
        cut(residual(2), structure="depth", criterion=criterion, job=Job(images(residual(2))))


def test_data_recalibrate_what_is_left() -> None:
    model, said = residual(3), Job(images(residual(3)))
    cut(model, job=said, structure="depth", ratio=0.4)
    assert any("batch_norm" in change.details for change in said.changed)
    without = Job()
    cut(model, job=without, structure="depth", ratio=0.4)
    assert without.declined[-1].reason.startswith("it is not recalibrated: that needs data")
