"""Every float model of the shared collection prunes at 0.5 and runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxpress.data.random import runnable_feeds
from onnxpress.errors import ModelError
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
    before, after = Session(model).run(feeds), Session(result).run(feeds)
    tensors = {name: array for name, array in before.items() if isinstance(array, np.ndarray)}
    for name, array in tensors.items():
        assert after[name].shape == array.shape
        assert np.isfinite(after[name]).all() == np.isfinite(array).all()
