"""snip, taylor and fisher against PyTorch, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from onnxpress.channels import find_channels
from onnxpress.data.batch import Array
from onnxpress.errors import DataError, UsageError
from onnxpress.job import Job
from onnxpress_pruning.criteria.criterion import Criterion, Subject
from onnxpress_pruning.criteria.gradients import Fisher, Snip, Taylor
from tests.core.training.nets import convnet, torch_convnet
from tests.graphs import graph, normal
from tests.plugins.pruning.criteria.saliency import (
    BATCHES,
    KERNELS,
    SAMPLES,
    close,
    scores,
    subject,
    twin_gradients,
)

PARAMETERS = {name: p.detach() for name, p in torch_convnet().parameters.items()}


def test_snip_is_the_share_of_all_that_the_loss_feels() -> None:
    found = scores(Snip(), subject())
    gradients = twin_gradients(slice(None))
    products = {name: (PARAMETERS[name] * gradients[name]).abs() for name in KERNELS}
    total = sum(float(p.sum()) for p in products.values())
    close(found, {name: p / total for name, p in products.items()})
    assert sum(array.sum() for array in found.values()) == pytest.approx(1, abs=1e-5)


def test_taylor_of_weights_squares_batch_by_batch() -> None:
    batches = [twin_gradients(rows) for rows in BATCHES]
    squares = {
        name: torch.stack([(PARAMETERS[name] * gradients[name]) ** 2 for gradients in batches])
        for name in KERNELS
    }
    close(scores(Taylor(), subject()), {name: found.mean(0) for name, found in squares.items()})


def test_taylor_of_channels_squares_the_sum_over_a_filter() -> None:
    of = subject()
    groups = find_channels(of.model).groups
    found = {group.name: Taylor().channels(of, groups)(group) for group in groups}
    first = next(g for g in groups if any(m.tensor == "w1" for m in g.members))
    wanted = torch.zeros(4)
    for rows in BATCHES:
        products = PARAMETERS["w1"] * twin_gradients(rows)["w1"]
        wanted += products.sum((1, 2, 3)) ** 2 / len(BATCHES)
    assert_allclose(found[first.name], wanted, rtol=1e-4)


def _per_sample() -> dict[str, torch.Tensor]:
    twin = torch_convnet(frozen=True)

    def loss(p: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(twin.forward(p, x[None]), y[None])

    given = {name: p.detach() for name, p in twin.parameters.items()}
    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    found: dict[str, torch.Tensor] = each(
        given, torch.tensor(SAMPLES["x"]), torch.tensor(SAMPLES["labels"])
    )
    return found


def test_fisher_takes_the_gradient_of_every_sample() -> None:
    found = scores(Fisher(), subject(names=(*KERNELS, "s", "b2")))
    each = _per_sample()
    close(found, {n: (each[n] ** 2).mean(0) * PARAMETERS[n] ** 2 / 2 for n in found})


def test_fisher_does_not_depend_on_the_size_of_batches() -> None:
    small = scores(Fisher(), subject(data={**SAMPLES, "batch": 3}))
    large = scores(Fisher(), subject(data={**SAMPLES, "batch": 10}))
    for name, array in small.items():
        assert np.array_equal(array, large[name])


@pytest.mark.parametrize("criterion", [Snip(), Fisher()], ids=lambda c: c.name)
def test_channels_add_up_all_tensors_of_their_group(criterion: Criterion) -> None:
    of = subject()
    groups = find_channels(of.model).groups
    first = next(g for g in groups if any(m.tensor == "w1" for m in g.members))
    singles = scores(criterion, subject(names=("w1", "s", "w2")))
    local = [
        singles["w1"].sum((1, 2, 3)),
        singles["s"],
        singles["w2"].sum((0, 2, 3)),
    ]
    wanted = np.mean(local, axis=0)
    found = criterion.channels(of, groups)(first)
    assert_allclose(found / found.sum(), wanted / wanted.sum(), rtol=1e-4)


@pytest.mark.parametrize("criterion", [Snip(), Taylor(), Fisher()], ids=lambda c: c.name)
def test_same_data_same_bytes(criterion: Criterion) -> None:
    first, again = scores(criterion, subject()), scores(criterion, subject())
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_no_data_is_refused() -> None:
    model = convnet()
    with pytest.raises(UsageError, match=r"criterion=snip needs data; give some with --data"):
        Snip().elements(Subject(model, (model.layers[0].weight,), Job()))


def test_no_labels_are_refused() -> None:
    with pytest.raises(UsageError, match=r"criterion=taylor needs labels, and .* has none"):
        Taylor().elements(subject(data={"x": SAMPLES["x"]}))


def test_a_layer_that_does_not_matter_is_named() -> None:
    model = graph(
        """g (float[N,6] x) => (float[N,3] y, float[N,3] z) {
            y = MatMul(x, w)
            z = MatMul(x, v)
        }""",
        w=normal(6, 3),
        v=normal(6, 3),
    )
    data = {"x": normal(4, 6), "labels": np.array([0, 1, 2, 0])}
    of = subject(model, ("w", "v"), data, objective=("cross-entropy:output=y",))
    layer = model.layers[1].name
    with pytest.raises(UsageError, match=f"does not depend on '{layer}'.*leave that out with excl"):
        Snip().elements(of)


def _quantized() -> tuple[str, dict[str, Array]]:
    text = """g (float[N,6] x) => (float[N,3] y) {
        w = DequantizeLinear(q, scale)
        y = MatMul(x, w)
    }"""
    return text, {"q": normal(6, 3).astype(np.int8), "scale": np.array(0.1, np.float32)}


def test_integers_are_refused() -> None:
    text, stored = _quantized()
    model = graph(text, **stored)
    data = {"x": normal(4, 6), "labels": np.array([0, 1, 2, 0])}
    with pytest.raises(UsageError, match="stored as int8, which has no gradient; prune before"):
        Snip().elements(subject(model, ("q",), data))


def test_single_samples_need_a_batch_of_any_size() -> None:
    model = graph("g (float[4,6] x) => (float[4,3] y) { y = MatMul(x, w) }", w=normal(6, 3))
    data = {"x": normal(4, 6), "labels": np.array([0, 1, 2, 0]), "batch": 4}
    scores(Snip(), subject(model, ("w",), data))
    with pytest.raises(UsageError, match=r"criterion=fisher .* 'x' takes 4 samples at once"):
        Fisher().elements(subject(model, ("w",), data))


def test_what_is_not_finite_is_found() -> None:
    x = SAMPLES["x"].copy()
    x[5] = 3e38
    with pytest.raises(DataError, match=r"snip: 'grad.*' is not finite on batch 2 .* Conv"):
        Snip().elements(subject(data={**SAMPLES, "x": x, "batch": 4}))
