"""obs on the shared collection: every float model keeps running, and ResNet-20 keeps its top-1."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import final

import numpy as np
import pytest

from onnxpress.data.batch import Batch, Data, Feeds
from onnxpress.data.opening import open_data
from onnxpress.data.random import runnable_feeds
from onnxpress.errors import DataError, ModelError
from onnxpress.graph.model import Model
from onnxpress.graph.pruned import masks_of
from onnxpress.job import Job
from onnxpress.session import Session
from onnxpress_pruning import MagnitudePruning, SaliencyPruning
from onnxpress_pruning.pruning import Pruning
from tests.conftest import SHARED

MODELS = sorted((SHARED / "models").rglob("*.onnx"))
RESNETS = SHARED / "models" / "cifar10_resnet20"
IMAGES = "scale=1/255&mean=0.485,0.456,0.406&std=0.229,0.224,0.225&layout=nchw&batch=100"

pytestmark = pytest.mark.slow


@final
class _Once(Data):
    """One batch, as it is."""

    name = "feeds"
    labelled = False

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds

    def __iter__(self) -> Iterator[Batch]:
        yield Batch(dict(self._feeds))

    @property
    def samples(self) -> int:
        return 1


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_every_float_model_still_runs(path: Path) -> None:
    try:
        model = Model.load(path)
        feeds = runnable_feeds(model)
    except ModelError as error:
        pytest.skip(str(error))
    job = Job(data=_Once(feeds))
    try:
        pruned = SaliencyPruning(criterion="obs", sparsity=0.5).apply(model, job)
    except DataError as error:
        pytest.skip(f"random feeds make it overflow: {error}")
    assert job.changed or job.declined or not model.layers
    for change in job.changed:
        assert change.details["zeros"] >= round(0.5 * change.details["of"])
        assert 0 <= change.details["output_error"] <= 1
    pruned.check()
    before, after = (Session(m).run(feeds) for m in (model, pruned))
    for name, array in before.items():
        if isinstance(array, np.ndarray) and array.dtype.kind == "f":
            assert after[name].dtype == array.dtype
            assert np.isfinite(after[name]).all() or not np.isfinite(array).all()


@cache
def _data(name: str, limit: int) -> Data:
    arrays = SHARED / "data" / f"{name}.npz"
    if not arrays.exists():
        pytest.skip(f"there is no {arrays}")
    model = Model.load(RESNETS / "resnet20_bn.onnx")
    return open_data(f"{arrays}:input=x,labels=y?limit={limit}&{IMAGES}", model)


def _top1(model: Model) -> float:
    session, test = Session(model), _data("cifar10_test", 2000)
    right = [next(iter(session.run(b.feeds).values())).argmax(1) == b.labels for b in test]
    return float(np.concatenate(right).mean())


@pytest.mark.parametrize("name", ["resnet20_bn", "resnet20"])
@pytest.mark.parametrize(("share", "least"), [(0.5, 0.915), (0.7, 0.885), (0.8, 0.83)])
def test_resnet20_keeps_its_accuracy_without_training(
    name: str, share: float, least: float
) -> None:
    model = Model.load(RESNETS / f"{name}.onnx")
    plain = MagnitudePruning(sparsity=share).apply(model, Job())
    found = _on_images(SaliencyPruning(criterion="obs", sparsity=share), model)
    rebuilt = _on_images(MagnitudePruning(sparsity=share, reconstruct=True), model)
    top1 = [_top1(m) for m in (plain, rebuilt, found)]
    assert top1[0] < top1[1]
    assert top1[2] > least
    zeros = [{n: int((~m).sum()) for n, m in masks_of(x).items()} for x in (plain, found)]
    assert zeros[0] == zeros[1]


def _on_images(step: Pruning, model: Model) -> Model:
    return step.apply(model, Job(data=_data("cifar10_train_20k", 300)))
