"""obs: its scores, and how it reaches users; what it does is tested under reconstruction."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from onnxpress.channels import find_channels
from onnxpress.data.opening import open_data
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress.testing.models import model_from_text, small_classifier
from onnxpress_pruning.criteria.criterion import Subject
from onnxpress_pruning.criteria.known import make_saliency
from onnxpress_pruning.criteria.obs import Obs
from tests.graphs import normal


def _subject(model: Model, inputs: object) -> Subject:
    data = open_data({"input": inputs, "batch": 4}, model)
    return Subject(model, tuple(layer.weight for layer in model.layers), Job(data=data))


def test_scores_are_those_of_optimal_brain_surgeon() -> None:
    x, w = normal(30, 5), normal(5, 3, seed=1)
    model = model_from_text("g (float[N, 5] x) => (float[N, 3] y) { y = MatMul (x, w) }", w=w)
    subject = _subject(model, x)
    found = Obs().elements(subject)(subject.targets[0])
    h = x.T.astype(np.float64) @ x
    inverse = np.linalg.inv(h + 0.01 * np.mean(np.diag(h)) * np.eye(5))
    wanted = w**2 / np.diag(inverse)[:, None] / ((x @ w) ** 2).sum()
    assert_allclose(found, wanted, rtol=1e-4)


def test_scores_of_kernels_are_in_the_shape_of_the_weights() -> None:
    model = small_classifier()
    subject = _subject(model, normal(8, 3, 16, 16))
    scores = Obs().elements(subject)
    for weight in subject.targets:
        found = scores(weight)
        assert found.shape == weight.shape
        assert (found >= 0).all()


def test_channels_are_ranked_by_what_is_in_their_slices() -> None:
    model = small_classifier()
    groups = find_channels(model).groups
    found = Obs().channels(_subject(model, normal(8, 3, 16, 16)), groups)
    for group in groups:
        assert found(group).shape == (group.size,)
        assert_allclose(found(group).mean(), 1)


def test_users_choose_it_by_name() -> None:
    assert make_saliency("obs") == Obs()
    assert make_saliency({"use": "obs", "damp": 0.1}) == Obs(damp=0.1)
