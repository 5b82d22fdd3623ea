"""The law of channels on the shared models: what is zero in all its slices leaves no trace.

Random channels of every group are set to zero, and then cut: the smaller model passes the checker,
and answers the same at every size that the model itself takes.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pytest

import onnxpress
from onnxpress.channels import find_channels
from onnxpress.data.batch import Feeds
from onnxpress.data.random import runnable_feeds
from onnxpress.data.signature import Signature
from onnxpress.graph.model import Model
from onnxpress.session import Session
from tests.core.channels.noise import noise
from tests.core.channels.zeroing import difference, zeroed_and_cut

SMALL: Final = (
    "cifar10_resnet20/resnet20.onnx",
    "hand_gesture_keypoint/keypoint_classifier.onnx",
    "mlperf_tiny_ad_autoencoder/ad01_fp32.onnx",
    "mlperf_tiny_ic_resnet8/resnet8_keras.onnx",
    "mlperf_tiny_kws_dscnn/kws_ref_model_float32.onnx",
    "mnist_cntk/mnist.onnx",
    "mnist_pytorch_cnn/cnn_mnist_pytorch.onnx",
    "mnist_rten_dynamo/mnist.onnx",
)
LARGE: Final = (
    "basic_pitch/nmp.onnx",
    "cifar10_resnet20/resnet20_bn.onnx",
    "cifar10_resnet20/resnet20_dynamo.onnx",
    "cifar10_resnet56/resnet56_bn.onnx",
    "fast_neural_style_candy/candy.onnx",
    "gtcrn/gtcrn.onnx",
    "gtcrn/gtcrn_simple.onnx",
    "mini_xception/fer2013_mini_xception.onnx",
    "mini_xception/gender_mini_xception.onnx",
    "mlperf_tiny_ic_resnet8/pretrainedResnet.onnx",
    "mlperf_tiny_ic_resnet8/pretrainedResnet_quant.onnx",
    "mlperf_tiny_kws_dscnn/kws_ref_model_int8.onnx",
    "mobilenet_v2_qdq_torch/mobilenet_v2_qdq.onnx",
    "movie_review_tflite/movie_review.onnx",
    "nnsplit/model.onnx",
    "paddleocr/ch_PP-OCRv3_det_infer.onnx",
    "paddleocr/ch_ppocr_mobile_v2.0_cls_infer.onnx",
    "silero_vad/silero_vad_half.onnx",
    "sinet_portrait/SINet.onnx",
    "sinet_portrait/SINet_Softmax.onnx",
    "squeezenet_v11_fp16/SqueezeNet_fp16.onnx",
    "stories260k/stories260k.onnx",
    "super_resolution_core/pytorch_super_resolution.onnx",
    "ultraface/version-RFB-320.onnx",
    "vespa_dummy_transformers/dummy_transformer_mlm.onnx",
    "vespa_dummy_transformers/random_decoder.onnx",
    "vespa_dummy_transformers/random_encoder.onnx",
    "yolox_nano/yolox_nano.onnx",
)
HELD: Final = {
    "finn_mvau_custom_ops/cybsec_PE_SIMD.onnx": "it is no valid ONNX",
    "honk_kws/google-speech-dataset-full.onnx": "it does not say its opset",
    "mnist_pytorch_cnn/lr_mnist_scikit.onnx": "it has no operator of the standard",
    "silero_vad/silero_vad.onnx": "its layers are in the branches of an If",
}
"""Shared models without a channel that could be cut, and why."""

SHARES: Final = (0.1, 0.3, 0.5, 0.7)
over_models = pytest.mark.parametrize(
    "file", [*SMALL, *(pytest.param(file, marks=pytest.mark.slow) for file in LARGE)]
)


def test_all_shared_models_are_here(shared: Path) -> None:
    files = {f"{p.parent.name}/{p.name}" for p in (shared / "models").glob("*/*.onnx")}
    assert files == {*SMALL, *LARGE, *HELD}


@over_models
@pytest.mark.parametrize("split", ["channels", "heads"])
def test_what_is_zero_leaves_no_trace(
    file: str, split: Literal["channels", "heads"], shared: Path
) -> None:
    model = frozen(shared / "models" / file)
    if split == "heads" and not any(g.heads for g in find_channels(model, split=split).groups):
        pytest.skip(f"{file} has no heads to cut")
    fed = feeds(model)
    for seed, share in enumerate(SHARES):
        whole, cut, channels, _ = zeroed_and_cut(model, share, seed=seed, split=split)
        assert channels.groups
        assert cut.cost().parameters < whole.cost().parameters
        cut.check()
        if share == min(SHARES):
            _check_alive(whole, fed)
        _check_same(whole, cut, fed, f"{share:.0%}")


def _check_same(whole: Model, cut: Model, fed: list[Feeds], what: str) -> None:
    given, left = Session(whole), Session(cut)
    allowed = max(1e-4, 10 * noise(whole, fed[0]))
    for one in fed:
        wanted, got = given.run(one), left.run(one)
        for name, array in wanted.items():
            assert difference(got[name], array) <= allowed, f"{what}: {name} {array.shape}"


def _check_alive(model: Model, fed: list[Feeds]) -> None:
    """Check that answers depend on inputs: a model of nothing but zeros would keep any law."""
    session = Session(model)
    first, second = (session.run(one) for one in fed)
    pairs = [(array[:1], second[name][:1]) for name, array in first.items() if array.ndim]
    same_shape = [(a.astype(float), b.astype(float)) for a, b in pairs if a.shape == b.shape]
    if same_shape:
        assert max(np.abs(a - b).max() / np.abs(a).max() for a, b in same_shape) > 1e-3
    else:  # other numbers of steps
        assert max(np.ptp(a) for a, _ in pairs) > 1e-3


@cache
def frozen(path: Path) -> Model:
    edit = onnxpress.load(path).edit()
    edit.freeze()
    return edit.done()


def feeds(model: Model) -> list[Feeds]:
    """Return inputs of one sample, and of three where the model takes as many."""
    session = Session(model)
    first = runnable_feeds(model, 1, session=session)
    free = any(not isinstance(i.shape[0], int) for i in Signature.of(model).inputs if i.shape)
    if not free:
        return [first, runnable_feeds(model, 1, seed=1, session=session)]
    return [first, runnable_feeds(model, 3, seed=1, session=session)]


def test_feeds_are_of_several_sizes(shared: Path) -> None:
    one, three = feeds(frozen(shared / "models" / SMALL[0]))
    assert [len(next(iter(f.values()))) for f in (one, three)] == [1, 3]
    assert np.ptp(next(iter(one.values()))) > 0
