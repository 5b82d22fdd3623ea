"""What recalibration chooses, and what it is worth on a real network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxpress.calibration.kept import kept_positions
from onnxpress.channels import find_channels
from onnxpress.data import open_data
from onnxpress.errors import UsageError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress.metrics.evaluation import evaluate
from onnxpress.metrics.opening import open_metric
from onnxpress.session import Session
from onnxpress_pruning.recalibration import Recalibration, recalibrate
from tests.graphs import graph, normal

SHARED = Path("/work/shared")
RESNET = SHARED / "models/cifar10_resnet20/resnet20_bn.onnx"
PREPARED = "&scale=0.00392156862745098&mean=0.485,0.456,0.406&std=0.229,0.224,0.225&layout=nchw"


@pytest.fixture
def model() -> Model:
    return graph(
        """g (float[N,4] x) => (float[N,2] y) {
            a = MatMul(x, w)
            b = BatchNormalization(a, s, t, m, v)
            c = Relu(b)
            y = Gemm(c, u)
        }""",
        w=normal(4, 5, seed=1),
        u=normal(5, 2, seed=2),
        s=normal(5, seed=3),
        t=normal(5, seed=4),
        m=np.zeros(5),
        v=np.full(5, 4.0),
    )


def with_zeros(model: Model, share: float) -> Model:
    """Set the smallest weights of every layer to zero."""
    edit = model.edit()
    for layer in (layer for layer in edit.layers if not layer.normalizes):
        array = layer.weight.array()
        small = abs(array) < np.quantile(abs(array), share)
        edit.set_weight(layer.weight, np.where(small, np.float32(0), array))
    return edit.done()


CHANGED = {
    "auto": {"b": "re-estimated", "y": "compensated"},
    "batch-norm": {"b": "re-estimated"},
    "bias": {"b": "compensated", "y": "compensated"},
    "none": {},
}


@pytest.mark.parametrize("how", CHANGED)
def test_with_data_each_layer_is_corrected_where_it_can_be(
    model: Model, how: Recalibration
) -> None:
    job = Job(data=open_data(normal(64, 4, seed=5) + 1, model))
    recalibrate(model, with_zeros(model, 0.5), job, how).check()
    done = {c.subject: c.details.get("batch_norm", c.details.get("bias")) for c in job.changed}
    assert done == CHANGED[how]


def test_without_data_what_was_cut_is_replaced_by_its_mean(model: Model) -> None:
    channels = find_channels(model)
    gone = {"a": [2]}
    pruned, kept = channels.cut(gone), kept_positions(channels.groups, gone)
    for how in ("auto", "bias"):
        job = Job()
        recalibrate(model, pruned, job, how, kept=kept)
        assert [change.subject for change in job.changed] == ["y"]


def test_without_data_auto_leaves_masks_alone_and_says_so(model: Model) -> None:
    pruned, job = with_zeros(model, 0.5), Job()
    assert recalibrate(model, pruned, job, "auto") is pruned
    assert "needs data" in job.declined[0].reason
    assert recalibrate(model, pruned, Job(), "bias") is not pruned


def test_statistics_need_data_and_normalisations(model: Model) -> None:
    with pytest.raises(UsageError, match="recalibrate=batch-norm needs data"):
        recalibrate(model, model, Job(), "batch-norm")
    plain = graph("g (float[N,4] x) => (float[N,2] y) { y = MatMul(x, w) }", w=normal(4, 2))
    job = Job(data=open_data(normal(8, 4), plain))
    assert recalibrate(plain, with_zeros(plain, 0.5), job, "batch-norm") is not plain
    assert "no batch normalisation" in job.declined[0].reason
    assert not job.changed


@pytest.mark.slow
@pytest.mark.skipif(not RESNET.exists(), reason="/work/shared is not there")
def test_resnet20_gets_most_of_its_accuracy_back() -> None:
    """70 % of the weights at zero: 53.9 % of 1,000 images, 85.7 % recalibrated (dense: 93.6)."""
    model = Model.load(RESNET)
    train, test = (
        open_data(f"{SHARED}/data/{name}&batch=128{PREPARED}", model)
        for name in (
            "cifar10_train_20k.npz:input=x,labels=y?limit=512",
            "cifar10_test.npz:input=x,labels=y?limit=1000",
        )
    )

    def top1(tested: Model) -> float:
        session = Session(tested)
        return evaluate(session.run, test, open_metric("top-1", session.outputs)).value

    pruned = with_zeros(model, 0.7)
    auto, statistics = (
        top1(recalibrate(model, pruned, Job(data=train), how)) for how in ("auto", "batch-norm")
    )
    assert top1(pruned) < 0.60
    assert statistics > 0.83
    assert auto > 0.84
