"""Slots lie where the provider computes, if ONNX Runtime can allocate there."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from onnxpress.training.running import DEVICES
from tests.core.training.fitting import fitted, weights
from tests.core.training.nets import mlp, samples


@pytest.mark.parametrize("provider", DEVICES)
def test_providers_with_memory_of_their_own_are_called_so(provider: str) -> None:
    """By ONNX Runtime, also in builds that lack them."""
    elsewhere = {"NvTensorRTRTXExecutionProvider", "ROCMExecutionProvider"}  # not in 1.32's list
    assert provider in {*ort.get_all_providers(), *elsewhere}
    assert DEVICES[provider] in {"cuda", "dml"}


@pytest.mark.skipif(
    "AzureExecutionProvider" not in ort.get_available_providers(),
    reason="this build of ONNX Runtime has only the CPU",
)
def test_a_provider_without_memory_of_its_own_trains_in_main_memory() -> None:
    """Azure's, which comes with the CPU wheel, computes nothing here: the CPU does."""
    usual, other = (
        fitted(mlp(), samples(), batch=8, lr=0.05, provider=provider).model
        for provider in ("CPUExecutionProvider", "AzureExecutionProvider")
    )
    for name, array in weights(usual).items():
        np.testing.assert_allclose(weights(other)[name], array, rtol=1e-5, atol=1e-6)
