"""Re-estimated statistics are those of what the normalisations read."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import pytest

from onnxpress.calibration.batch_norm import Order, reestimate_batch_norm
from onnxpress.calibration.moments import measure_moments
from onnxpress.errors import DataError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from tests.core.calibration.data import Arrays
from tests.core.calibration.networks import TWO_NORMS, layer, statistics, two_norms
from tests.graphs import graph, normal

DATA = [normal(8, 3, 5, 6, seed=s) for s in (11, 12)] + [normal(3, 3, 5, 6, seed=13)]


def test_in_turn_every_normalisation_has_the_statistics_of_its_input() -> None:
    model = reestimate_batch_norm(two_norms(), Arrays(DATA), Job(), order="in-turn")
    found = measure_moments(model, {"a": 1, "d": 1}, Arrays(DATA), Job())
    for tensor, number in (("a", 1), ("d", 2)):
        stored = statistics(model)
        np.testing.assert_allclose(stored[f"m{number}"], found[tensor].mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(stored[f"v{number}"], found[tensor].variance, rtol=1e-4)


def test_together_is_the_same_where_all_data_is_one_batch() -> None:
    data = Arrays([np.concatenate(DATA)])
    first, second = (
        statistics(reestimate_batch_norm(two_norms(), data, Job(), order=order))
        for order in ("together", "in-turn")
    )
    for name, array in first.items():
        np.testing.assert_allclose(array, second[name], rtol=1e-4, atol=1e-5)


def test_together_goes_through_the_data_once_and_in_turn_for_each() -> None:
    for order, passes in (("together", 1), ("in-turn", 2), ("auto", 1)):
        data = Arrays(DATA)
        reestimate_batch_norm(two_norms(), data, Job(), order=order)  # type: ignore[arg-type]
        assert data.passes == passes


def test_batches_of_too_few_elements_are_taken_in_turn() -> None:
    tiny = [array[:1, :, :2, :2] for array in DATA]
    auto, turn = (
        statistics(reestimate_batch_norm(two_norms(), Arrays(tiny), Job(), order=order))
        for order in ("auto", "in-turn")
    )
    for name, array in auto.items():
        np.testing.assert_array_equal(array, turn[name])


def test_the_model_given_stays_and_the_same_data_gives_the_same_bytes() -> None:
    model = two_norms()
    before = statistics(model)
    one, two = (statistics(reestimate_batch_norm(model, Arrays(DATA), Job())) for _ in "ab")
    for name, array in statistics(model).items():
        np.testing.assert_array_equal(array, before[name])
        np.testing.assert_array_equal(one[name], two[name])
        assert (one[name] != array).all()


@pytest.mark.parametrize("order", ["together", "in-turn"])
def test_rank_two_and_half_precision(order: Order) -> None:
    model = graph(
        """g (float16[N,4] x) => (float16[N,4] y) {
            a = MatMul(x, w)
            y = BatchNormalization(a, s, b, m, v)
        }""",
        w=normal(4, 4).astype(np.float16),
        **{n: np.ones(4, np.float16) for n in "sbmv"},
    )
    x = normal(64, 4, seed=3).astype(np.float16)
    stored = statistics(reestimate_batch_norm(model, Arrays([x]), Job(), order=order))
    a = x.astype(np.float64) @ normal(4, 4).astype(np.float16).astype(np.float64)
    assert stored["m"].dtype == np.float16
    np.testing.assert_allclose(stored["m"], a.mean(0), atol=2e-3)
    np.testing.assert_allclose(stored["v"], a.var(0), rtol=5e-3)


def test_a_normalisation_that_normalises_by_the_batch_is_declined() -> None:
    training = TWO_NORMS.replace("e = BatchN", "e, i, j = BatchN").replace(
        "BatchNormalization(d,", "BatchNormalization<training_mode=1>(d,"
    )
    job = Job()
    reestimate_batch_norm(two_norms(training), Arrays(DATA), job)
    assert [d.subject for d in job.declined] == ["e"]
    assert "by the batch at hand" in job.declined[0].reason


@pytest.mark.parametrize("order", ["together", "in-turn"])
def test_statistics_that_others_read_too_become_their_own(order: Order) -> None:
    """PyTorch's exporter stores equal tensors once: here a bias is also a mean."""
    text = TWO_NORMS.replace("s1, b1, m1, v1", "s1, b1, b1, v1").replace(
        "e = BatchNormalization(d, s2, b2, m2, v2)",
        "i = Identity(b1) e = BatchNormalization(d, s1, b1, i, v1)",
    )
    model = two_norms(text, w2=normal(6, 6, 3, 3), w3=normal(2, 6))
    result = reestimate_batch_norm(model, Arrays(DATA), Job(), order=order)
    assert len(statistics(result)) == 4
    for name in ("b", "e"):
        bias, before = layer(result, name).bias, layer(model, name).bias
        assert bias is not None
        assert before is not None
        np.testing.assert_array_equal(bias.array(), before.array())
    found = measure_moments(result, {"a": 1, "d": 1}, Arrays(DATA), Job())
    if order == "in-turn":
        stored = next(w.array() for w in layer(result, "e").weights if w.role == "mean")
        np.testing.assert_allclose(stored, found["d"].mean, rtol=1e-3, atol=1e-4)


def test_normalisations_in_subgraphs_are_declined() -> None:
    model = graph(
        """g (float[N,2] x, bool c) => (float[N,2] y) {
            y = If(c) <
                then_branch = t () => (float[N,2] a) { a = BatchNormalization(x, s, b, m, v) },
                else_branch = e () => (float[N,2] o) { o = Neg(x) }
            >
        }""",
        **{n: np.ones(2, np.float32) for n in "sbmv"},
    )
    job = Job()
    assert reestimate_batch_norm(model, Arrays([]), job) is model
    assert "a subgraph" in job.declined[0].reason


def test_no_data_is_an_error_and_no_normalisation_is_not() -> None:
    with pytest.raises(DataError, match="nothing to calibrate on"):
        reestimate_batch_norm(two_norms(), Arrays([]), Job())
    plain = graph("g (float[N] x) => (float[N] y) { y = Neg(x) }")
    assert reestimate_batch_norm(plain, Arrays([]), Job()) is plain


@pytest.mark.slow
def test_pytorch_finds_the_same_statistics(tmp_path: Any) -> None:
    """`update_bn` averages estimates of batches: for one batch, n / (n - 1) of the variance."""
    torch = pytest.importorskip("torch")
    from torch.optim.swa_utils import update_bn

    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3, padding=1),
        torch.nn.BatchNorm2d(6),
        torch.nn.ReLU(),
        torch.nn.Conv2d(6, 4, 3),
        torch.nn.BatchNorm2d(4),
    ).eval()
    x = torch.randn(32, 3, 7, 7)
    path = str(tmp_path / "net.onnx")
    warnings.simplefilter("ignore", DeprecationWarning)  # of the exporter; pytest resets it
    # Training mode keeps the exporter from folding normalisations into convolutions.
    torch.onnx.export(
        net,
        (x,),
        path,
        dynamo=False,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
    )
    model = Model.from_proto(onnx.load(path))
    result = reestimate_batch_norm(model, Arrays([x.numpy()], _input(model)), Job())
    norms = [found for found in result.layers if found.normalizes]
    update_bn([x], net)
    for index, positions, norm in zip((1, 4), (49, 25), norms, strict=True):
        n = 32 * positions
        stored = {w.role: w.array() for w in norm.weights}
        np.testing.assert_allclose(stored["mean"], net[index].running_mean, rtol=1e-4, atol=1e-6)
        variance = net[index].running_var.numpy() * (n - 1) / n
        np.testing.assert_allclose(stored["variance"], variance, rtol=1e-4)


def _input(model: Model) -> str:
    return model.inputs[0].name or ""
