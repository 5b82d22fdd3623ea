"""What a cut would cost, against what the cut model costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import onnxpress
from onnxpress.channels import Channels, find_channels
from onnxpress.graph.model import Model
from tests.core.channels.nets import net
from tests.core.channels.test_find import fused, grouped_queries, residual, shuffle
from tests.core.channels.zeroing import drawn

FILES = [
    "cifar10_resnet20/resnet20.onnx",
    "mlperf_tiny_kws_dscnn/kws_ref_model_float32.onnx",
    "mnist_pytorch_cnn/cnn_mnist_pytorch.onnx",
    "movie_review_tflite/movie_review.onnx",
    *(
        pytest.param(file, marks=pytest.mark.slow)
        for file in [
            "mini_xception/gender_mini_xception.onnx",
            "mobilenet_v2_qdq_torch/mobilenet_v2_qdq.onnx",
            "nnsplit/model.onnx",
            "sinet_portrait/SINet.onnx",
            "squeezenet_v11_fp16/SqueezeNet_fp16.onnx",
            "ultraface/version-RFB-320.onnx",
            "vespa_dummy_transformers/dummy_transformer_mlm.onnx",
            "yolox_nano/yolox_nano.onnx",
        ]
    ),
]


@pytest.mark.parametrize("model", [residual, shuffle, fused, grouped_queries])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_small_net_costs_what_was_said(model: object, share: float) -> None:
    assert callable(model)
    _check_cost(model(), share)


@pytest.mark.parametrize("file", FILES)
def test_a_real_model_costs_what_was_said(file: str, shared: Path) -> None:
    edit = onnxpress.load(shared / "models" / file).edit()
    edit.freeze()
    for share in (0.25, 0.6):
        _check_cost(edit.done(), share)


def test_all_channels_cost_what_the_model_costs() -> None:
    channels = find_channels(residual())
    cost = residual().cost()
    assert channels.cost({}) == (cost.macs, cost.parameters)
    assert channels.sizing.full.tolist() == [8, 6]


def test_parameters_of_some_tensors_only() -> None:
    channels = find_channels(residual())
    assert channels.sizing.parameters(channels.sizing.full, ["w2", "b4"]) == 6 * 8 * 9 + 5
    assert channels.sizing.parameters(np.array([4, 3]), ["w2"]) == 3 * 4 * 9


def test_bytes_count_every_stored_tensor() -> None:
    model = net(
        """(float16[N,6] x) => (float16[N,3] y) {
            a = MatMul(x, w1)
            t = Reshape(a, s)
            y = MatMul(t, w2)
        }""",
        w1=np.ones((6, 5), np.float16), w2=np.ones((5, 3), np.float16), s=np.array([-1, 5]),
    )  # fmt: skip
    channels = find_channels(model)
    assert channels.sizing.bytes(channels.sizing.full) == 2 * 30 + 2 * 15 + 16
    assert channels.sizing.bytes(np.array([2])) == 2 * 12 + 2 * 6 + 16


def _check_cost(model: Model, share: float) -> None:
    channels = find_channels(model)
    removed = drawn(channels, share)
    kept = {group.name: group.size - len(removed[group.name]) for group in channels.groups}
    cost = channels.cut(removed).cost()
    assert channels.cost(kept) == (cost.macs, cost.parameters)
    assert _less(channels, cost.parameters)


def _less(channels: Channels, parameters: int) -> bool:
    return parameters < channels.cost({})[1]
