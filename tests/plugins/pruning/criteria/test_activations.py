"""wanda, activation-mean and apoz: published facts, and direct computations in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from onnxpress.channels import Group, find_channels
from onnxpress.data.batch import Array
from onnxpress.data.opening import open_data
from onnxpress.errors import DataError, OptionError, UsageError
from onnxpress.graph.model import Model
from onnxpress.graph.pruned import masks_of
from onnxpress.job import Job
from onnxpress.testing.models import model_from_text, small_classifier
from onnxpress_pruning import SaliencyPruning
from onnxpress_pruning.criteria.activations import ActivationMean, Apoz, Wanda
from onnxpress_pruning.criteria.criterion import Criterion, Subject
from tests.core.calibration.data import Arrays
from tests.graphs import normal


def _subject(model: Model, inputs: Array, batch: int = 3) -> Subject:
    data = open_data({"input": inputs, "batch": batch}, model)
    targets = tuple(layer.weight for layer in model.layers)
    return Subject(model, targets, Job(data=data))


def _elements(model: Model, inputs: Array) -> Array:
    subject = _subject(model, inputs)
    return np.asarray(Wanda().elements(subject)(subject.targets[0]))


@pytest.mark.parametrize(
    ("text", "shape", "axis"),
    [
        ("MatMul (x, w)", (5, 3), 0),
        ("Gemm (x, w)", (5, 3), 0),
        ("Gemm <transB = 1> (x, w)", (3, 5), 1),
    ],
)
def test_wanda_of_a_matrix_multiplies_each_input_by_its_norm(
    text: str, shape: tuple[int, int], axis: int
) -> None:
    model = model_from_text(
        f"g (float[N, 5] x) => (float[N, 3] y) {{ y = {text} }}", w=normal(*shape)
    )
    x = normal(10, 5, seed=1)
    norms = np.expand_dims(np.linalg.norm(x, axis=0), 1 - axis)
    assert_allclose(_elements(model, x), np.abs(normal(*shape)) * norms, rtol=1e-5)


def test_wanda_of_a_grouped_convolution_has_a_norm_for_each_place_of_the_kernel() -> None:
    w, x = normal(6, 2, 3, 3), normal(7, 4, 8, 8, seed=1)
    model = model_from_text(
        "g (float[N, 4, 8, 8] x) => (float y)"
        "{ y = Conv <group = 2, pads = [1, 1, 1, 1], strides = [2, 2]> (x, w) }",
        w=w,
    )
    windows = torch.nn.functional.unfold(torch.tensor(x), 3, padding=1, stride=2)
    norms = windows.square().sum((0, 2)).sqrt().reshape(2, 1, 2, 3, 3).numpy()
    wanted = np.abs(w.reshape(2, 3, 2, 3, 3)) * norms
    assert_allclose(_elements(model, x), wanted.reshape(w.shape), rtol=1e-4)


def test_wanda_takes_the_same_share_of_every_output() -> None:
    model = small_classifier()
    images = normal(8, 3, 16, 16)
    job = Job(data=open_data({"input": images}, model))
    pruned = SaliencyPruning(criterion="wanda", sparsity=0.5).apply(model, job)
    masks = masks_of(pruned)
    for layer in model.layers:
        per_output = masks[layer.weight.name].reshape(layer.weight.shape[0], -1).sum(axis=1)
        assert len(set(per_output)) == 1


def test_wanda_declines_what_multiplies_nothing() -> None:
    table = normal(7, 4)
    model = model_from_text(
        "g (int64[N] i) => (float[N, 2] y) { e = Gather (t, i)  y = MatMul (e, w) }",
        t=table,
        w=normal(4, 2),
    )
    job = Job(data=open_data({"input": np.arange(6)}, model))
    pruned = SaliencyPruning(criterion="wanda").apply(model, job)
    assert list(masks_of(pruned)) == ["w"]
    assert any("a Gather is not computed as one product" in d.reason for d in job.declined)


def test_wanda_adds_up_over_the_readers_of_a_shared_weight() -> None:
    w = normal(4, 4)
    model = model_from_text(
        "g (float[N, 4] x) => (float[N, 4] y) { a = MatMul (x, w)  y = MatMul (a, w) }", w=w
    )
    x = normal(9, 4, seed=2)
    norms = np.sqrt((x**2).sum(0) + ((x @ w) ** 2).sum(0))
    assert_allclose(_elements(model, x), np.abs(w) * norms[:, None], rtol=1e-5)


def _channels(criterion: Criterion, model: Model, inputs: Array, **more: Any) -> dict[str, Array]:
    groups = find_channels(model).groups
    found = criterion.channels(_subject(model, inputs, **more), groups)
    return {_producer(model, group): np.asarray(found(group)) for group in groups}


def _producer(model: Model, group: Group) -> str:
    names = {layer.name: layer.weight.name for layer in model.layers}
    return names[group.producers[0]]


def _of_two_channels() -> tuple[Model, Array]:
    """Make a net whose hidden activations are what the convolution lets through: its input."""
    model = model_from_text(
        "g (float[N, 2, 3, 3] x) => (float[N, 1, 3, 3] y)"
        "{ a = Conv (x, w)  b = Relu (a)  y = Conv (b, v) }",
        w=np.eye(2, dtype=np.float32).reshape(2, 2, 1, 1),
        v=normal(1, 2, 1, 1),
    )
    first = np.array([1, 2, 3, 4, 5, 6, *[-1] * 12], np.float32).reshape(2, 9)
    second = np.array([*range(1, 10), *[-2] * 9], np.float32).reshape(2, 9)
    return model, np.stack([first, second], axis=1).reshape(2, 2, 3, 3)


def test_facts_of_distiller() -> None:
    """FACTS 85: sums 21 and 45 over 18 places each; APoZ 66.667 and 50 %."""
    model, x = _of_two_channels()
    means = _channels(ActivationMean(), model, x, batch=1)["w"]
    assert_allclose(means, np.array([21, 45]) / 33, rtol=1e-6)
    assert_allclose(_channels(Apoz(), model, x, batch=1)["w"], [1 - 0.66667, 0.5], atol=1e-5)


def test_batches_of_any_size_give_the_same() -> None:
    model, images = small_classifier(), normal(10, 3, 16, 16)
    for criterion in (ActivationMean(), Apoz()):
        one, many = (_channels(criterion, model, images, batch=b) for b in (10, 3))
        for name, scores in one.items():
            assert_allclose(scores, many[name], rtol=1e-5)


def test_positions_behind_flatten_count_for_their_channel() -> None:
    model = model_from_text(
        "g (float[N, 1, 2, 2] x) => (float[N, 2] y)"
        "{ a = Conv (x, w)  b = Relu (a)  c = Flatten (b)  y = Gemm (c, v) }",
        w=np.array([1, 2, -1], np.float32).reshape(3, 1, 1, 1),
        v=normal(12, 2),
    )
    x = np.abs(normal(6, 1, 2, 2))
    assert_allclose(_channels(ActivationMean(), model, x)["w"], [1, 2, 0], atol=1e-5)
    assert_allclose(_channels(Apoz(), model, x)["w"], [1, 1, 0], atol=1e-6)


@pytest.mark.parametrize("criterion", [ActivationMean(), Apoz()])
def test_channel_criteria_refuse_single_weights(criterion: Criterion) -> None:
    with pytest.raises(OptionError, match="ranks whole channels"):
        criterion.elements(_subject(small_classifier(), normal(2, 3, 16, 16)))


@pytest.mark.parametrize("criterion", [ActivationMean(), Apoz(), Wanda()])
def test_without_data_is_an_error_that_says_which_criterion(criterion: Criterion) -> None:
    model = small_classifier()
    subject = Subject(model, (model.layers[0].weight,), Job())
    with pytest.raises(UsageError, match=f"criterion={criterion.name} needs data"):
        criterion.channels(subject, find_channels(model).groups)


def test_infinite_activations_are_named() -> None:
    model = small_classifier()
    images = normal(4, 3, 16, 16)
    images[1] = np.inf
    subject = Subject(model, (), Job(data=Arrays([images], "image")))

    with pytest.raises(DataError, match="holds NaN or infinite values"):
        ActivationMean().channels(subject, find_channels(model).groups)


def test_wanda_of_channels_adds_up_products_and_leaves_out_normalisations() -> None:
    model = model_from_text(
        "g (float[N, 2, 3, 3] x) => (float[N, 1, 3, 3] y)"
        "{ a = Conv (x, w)  b = BatchNormalization (a, s, o, m, q)  y = Conv (b, v) }",
        w=normal(3, 2, 1, 1),
        **{n: np.ones(3, np.float32) for n in "soq"},
        m=np.zeros(3, np.float32),
        v=normal(1, 3, 1, 1),
    )
    x = normal(5, 2, 3, 3, seed=4)
    a = np.einsum("nchw,oc->nohw", x, normal(3, 2))
    b = a / np.sqrt(1 + 1e-5) + 1
    out = (np.abs(normal(3, 2)) * np.sqrt((x**2).sum((0, 2, 3)))).sum(1)
    into = (np.abs(normal(1, 3)) * np.sqrt((b**2).sum((0, 2, 3)))).sum(0)
    mean = (out + into) / 2
    assert_allclose(_channels(Wanda(), model, x)["w"], mean / mean.mean(), rtol=1e-4)
