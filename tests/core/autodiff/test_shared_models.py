"""Gradients of real networks of all families by all that they store, against differences.

All of the shared models are in `tests/benchmarks/gradients_of_models.py`; here are those that
take a few seconds each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pytest

import onnxpress
from tests.core.autodiff.whole_models import Whole, on_the_way

pytestmark = pytest.mark.slow

KINK: Final = 1e-3

MODELS: Final = {
    "residual": "cifar10_resnet20/resnet20_bn.onnx",
    "residual, folded": "mlperf_tiny_ic_resnet8/resnet8_keras.onnx",
    "separable": "mini_xception/fer2013_mini_xception.onnx",
    "depthwise, in part int8": "mlperf_tiny_kws_dscnn/kws_ref_model_float32.onnx",
    "autoencoder": "mlperf_tiny_ad_autoencoder/ad01_fp32.onnx",
    "weights that may be overridden": "ultraface/version-RFB-320.onnx",
    "squeeze and excitation": "paddleocr/ch_ppocr_mobile_v2.0_cls_infer.onnx",
    "of another exporter": "mnist_rten_dynamo/mnist.onnx",
    "opset 7": "mnist_cntk/mnist.onnx",
    "embedding": "movie_review_tflite/movie_review.onnx",
    "LSTM": "nnsplit/model.onnx",
    "LSTM in branches": "silero_vad/silero_vad.onnx",
    "GRU": "gtcrn/gtcrn_simple.onnx",
    "encoder": "vespa_dummy_transformers/random_encoder.onnx",
    "decoder": "vespa_dummy_transformers/random_decoder.onnx",
    "language model": "stories260k/stories260k.onnx",
}


@pytest.mark.parametrize("file", MODELS.values(), ids=MODELS.keys())
def test_gradients_agree_with_differences(file: str, shared: Path) -> None:
    pytest.importorskip("torch", reason="takes differences in double precision with PyTorch")
    whole = Whole(onnxpress.load(shared / "models" / file))
    crossed, missing = on_the_way(whole)
    assert crossed
    assert not missing
    for name, array in whole.gradients.items():
        assert array.shape == whole.at_first[name].shape
        assert np.isfinite(array).all(), name
    assert whole.in_double is not None
    compared = [whole.differences(number) for number in range(2)]
    smooth = [d for d in compared if d.sides <= KINK * d.size(whole.gradients)]
    assert smooth, "every direction crosses a kink"
    assert max(d.error(whole.gradients) for d in smooth) < 1e-3
