"""Every float model of the shared collection prunes at 0.5 and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxpress.data.batch import Feeds
from onnxpress.data.random import runnable_feeds
from onnxpress.errors import ModelError, OptionError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress.session import Session
from onnxpress_pruning import MagnitudePruning
from tests.conftest import SHARED

MODELS = sorted((SHARED / "models").rglob("*.onnx"))


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_it_prunes_exactly_and_runs(path: Path, scope: str) -> None:
    try:
        model = Model.load(path)
        feeds = runnable_feeds(model)
    except ModelError as error:
        pytest.skip(str(error))
    job = Job()
    result = MagnitudePruning(sparsity=0.5, scope=scope).apply(model, job)  # type: ignore[arg-type]
    assert job.changed or job.declined or not model.layers
    for change in job.changed:
        details = change.details
        exact = round(0.5 * details["of"])
        assert details["zeros"] == exact or scope == "global"
    _runs_as_before(model, result, feeds)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"structure": "n:m", "pattern": "2:4"}, {"structure": "block", "block": "4x1"}],
    ids=lambda options: options["structure"],
)
@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_it_takes_patterns_and_blocks_and_runs(path: Path, options: dict[str, Any]) -> None:
    try:
        model = Model.load(path)
        feeds = runnable_feeds(model)
    except ModelError as error:
        pytest.skip(str(error))
    job = Job()
    result = _pruned_if_any_fits(model, job, options)
    assert job.changed or job.declined or not model.layers
    _runs_as_before(model, result, feeds)


def _pruned_if_any_fits(model: Model, job: Job, options: dict[str, Any]) -> Model:
    """Prune; where no layer can have the structure, that must be an error."""
    try:
        return MagnitudePruning(**options).apply(model, job)
    except OptionError:
        fits = {"n:m": 4, "block": 1}[options["structure"]]
        axes = [w.shape[w.input_axis or 0] for layer in model.layers for w in layer.weights[:1]]
        assert all(length < fits for length in axes)
        return model


def _runs_as_before(model: Model, result: Model, feeds: Feeds) -> None:
    before, after = Session(model).run(feeds), Session(result).run(feeds)
    tensors = {name: array for name, array in before.items() if isinstance(array, np.ndarray)}
    for name, array in tensors.items():
        assert after[name].shape == array.shape
        assert np.isfinite(after[name]).all() == np.isfinite(array).all()
