"""After compensation, every layer gives the mean that it gave in the original."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from onnxpress.calibration.compensation import compensate
from onnxpress.calibration.kept import kept_positions
from onnxpress.calibration.moments import measure_moments, output_means
from onnxpress.channels import find_channels
from onnxpress.data.batch import Array
from onnxpress.errors import DataError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from tests.core.calibration.data import Arrays
from tests.core.calibration.networks import layer, statistics, two_norms
from tests.graphs import graph, normal

IMAGES = [normal(8, 3, 5, 6, seed=s) + 1 for s in (11, 12)] + [normal(3, 3, 5, 6, seed=13)]
ROWS = [normal(16, 4, seed=1) + 1, normal(5, 4, seed=2) + 1]


def with_zeros(model: Model, *names: str) -> Model:
    """Set half of some weights to zero."""
    edit = model.edit()
    for found in (found for found in edit.layers if found.name in names):
        array = np.array(found.weight.array())
        array.reshape(-1)[::2] = 0
        edit.set_weight(found.weight, array)
    return edit.done()


def check_means(before: Model, after: Model, tensors: Mapping[str, int], data: Arrays) -> None:
    wanted, found = (output_means(model, data, tensors, Job()) for model in (before, after))
    for name, mean in wanted.items():
        np.testing.assert_allclose(found[name], mean, rtol=1e-3, atol=1e-4, err_msg=name)


PRODUCTS: dict[str, tuple[str, dict[str, tuple[int, ...]]]] = {
    "bias": ("y = Gemm(x, w, b)", {"w": (4, 3), "b": (3,)}),
    "bias and factors": (
        "y = Gemm<alpha=0.5, beta=2.0, transB=1>(x, w, b)",
        {"w": (3, 4), "b": (1, 3)},
    ),
    "no bias": ("y = Gemm(x, w)", {"w": (4, 3)}),
    "one bias for all": ("y = Gemm<beta=0.5>(x, w, b)", {"w": (4, 3), "b": (1,)}),
    "product": ("y = MatMul(x, w)", {"w": (4, 3)}),
    "product and sum": ("a = MatMul(x, w) y = Add(b, a)", {"w": (4, 3), "b": (3,)}),
}


@pytest.mark.parametrize("case", PRODUCTS)
def test_products_give_their_mean_wherever_the_bias_is(case: str) -> None:
    body, shapes = PRODUCTS[case]
    tensors = {n: normal(*shape, seed=i) for i, (n, shape) in enumerate(shapes.items())}
    model = graph(f"g (float[N,4] x) => (float[N,3] y) {{ {body} }}", **tensors)
    pruned = with_zeros(model, *[found.name for found in model.layers])
    job = Job()
    result = compensate(model, pruned, Arrays(ROWS), job)
    result.check()
    assert not job.declined
    assert len(job.changed) == 1
    assert [v.name for v in result.outputs] == ["y"]
    check_means(model, result, {"y": 1}, Arrays(ROWS))


def test_a_constant_on_the_left_gets_a_column() -> None:
    for body in ("y = Gemm<transB=1>(w, x)", "t = Transpose(x) y = MatMul(w, t)"):
        model = graph(f"g (float[N,4] x) => (float[3,N] y) {{ {body} }}", w=normal(3, 4))
        pruned = with_zeros(model, *[found.name for found in model.layers])
        result = compensate(model, pruned, Arrays(ROWS), Job())
        check_means(model, result, {"y": 0}, Arrays(ROWS))


@pytest.mark.parametrize("op", ["Conv<group=2>", "ConvTranspose<group=2, strides=[2,2]>"])
def test_convolutions_in_groups_get_a_bias(op: str) -> None:
    model = graph(
        f"g (float[N,4,H,W] x) => (float[N,6,P,Q] y) {{ y = {op}(x, w) }}",
        w=normal(*((6, 2, 3, 3) if op.startswith("Conv<") else (4, 3, 3, 3))),
    )
    data = Arrays([normal(4, 4, 5, 5, seed=3) + 1])
    result = compensate(model, with_zeros(model, "y"), data, Job())
    bias = layer(result, "y").bias
    assert bias is not None
    assert bias.shape == (6,)
    check_means(model, result, {"y": 1}, data)


def test_layers_see_inputs_that_are_corrected_already() -> None:
    model = two_norms()
    pruned = with_zeros(model, "a", "d", "z")
    job = Job()
    result = compensate(model, pruned, Arrays(IMAGES), job)
    # Normalisations take up what is before them.
    assert {change.subject for change in job.changed} == {"b", "e", "z"}
    check_means(model, result, {"b": 1}, Arrays(IMAGES))
    one = Arrays([np.concatenate(IMAGES)])
    check_means(model, compensate(model, pruned, one, Job()), {"b": 1, "e": 1, "z": 1}, one)
    np.testing.assert_equal(statistics(result), statistics(pruned))


@pytest.mark.parametrize("tiny", [False, True], ids=["one batch", "batches of few elements"])
def test_normalisations_give_the_mean_and_the_variance_that_they_gave(tiny: bool) -> None:  # noqa: FBT001
    model = two_norms()
    whole = np.concatenate(IMAGES)
    data = Arrays([image[None, :, :3, :3] for image in whole] if tiny else [whole])
    result = compensate(model, with_zeros(model, "a", "d", "z"), data, Job(), batch_norm=True)
    tensors = {"b": 1, "e": 1}
    wanted, found = (measure_moments(m, tensors, data, Job()) for m in (model, result))
    for name in tensors:
        np.testing.assert_allclose(found[name].mean, wanted[name].mean, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(found[name].variance, wanted[name].variance, rtol=1e-3)
    assert layer(result, "b").bias is not None
    np.testing.assert_array_equal(_bias(result, "b"), _bias(model, "b"))


def _bias(model: Model, name: str) -> Array:
    bias = layer(model, name).bias
    assert bias is not None
    return bias.array()


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_channel_that_is_all_zero_keeps_its_mean(batch_norm: bool) -> None:  # noqa: FBT001
    model = two_norms()
    edit = model.edit()
    conv = next(found for found in edit.layers if found.name == "a")
    array = np.array(conv.weight.array())
    array[2] = 0
    edit.set_weight(conv.weight, array)
    one = Arrays([np.concatenate(IMAGES)])
    result = compensate(model, edit.done(), one, Job(), batch_norm=batch_norm)
    check_means(model, result, {"b": 1, "e": 1, "z": 1}, one)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_layers_with_fewer_channels_are_told_which(batch_norm: bool) -> None:  # noqa: FBT001
    model = two_norms()
    channels = find_channels(model)
    removed = {"a": [1, 4], "d": [0]}
    pruned = channels.cut(removed)
    kept = kept_positions(channels.groups, removed)
    one, job = Arrays([np.concatenate(IMAGES)]), Job()
    result = compensate(model, pruned, one, job, kept=kept, batch_norm=batch_norm)
    assert not job.declined
    wanted, found = (output_means(m, one, {"b": 1, "e": 1, "z": 1}, Job()) for m in (model, result))
    for name, left in (("b", [0, 2, 3, 5]), ("e", [1, 2, 3]), ("z", [0, 1])):
        np.testing.assert_allclose(found[name], wanted[name][left], rtol=1e-3, atol=1e-4)
    job = Job()
    compensate(model, pruned, one, job, batch_norm=batch_norm)
    assert {d.subject for d in job.declined} == {"b", "e"}
    assert "4 of 6 channels, and it is not said which" in job.declined[0].reason


def test_a_model_that_did_not_change_stays() -> None:
    model = two_norms()
    assert compensate(model, model, Arrays(IMAGES), Job()) is model


def test_what_can_not_take_a_bias_is_declined() -> None:
    model = graph(
        """g (float[N,4] x) => (float[N,4] y, float[N,4] z) {
            y = Gemm(x, v, b)
            z = Gemm(x, w, b)
        }""",
        v=normal(4, 4, seed=1),
        w=normal(4, 4, seed=2),
        b=normal(4),
    )
    job = Job()
    pruned = with_zeros(model, "y", "z")
    assert compensate(model, pruned, Arrays(ROWS), job) is pruned
    assert [d.subject for d in job.declined] == ["y", "z"]
    assert "read elsewhere too" in job.declined[0].reason


def test_no_data_is_an_error_and_the_models_given_stay() -> None:
    model = two_norms()
    pruned = with_zeros(model, "a")
    with pytest.raises(DataError, match="no samples"):
        compensate(model, pruned, Arrays([]), Job())
    before = {w.name: w.array().tobytes() for found in pruned.layers for w in found.tensors}
    first, second = (compensate(model, pruned, Arrays(IMAGES), Job()) for _ in "ab")
    assert {w.name: w.array().tobytes() for f in pruned.layers for w in f.tensors} == before
    assert _bias(first, "z").tobytes() == _bias(second, "z").tobytes()
