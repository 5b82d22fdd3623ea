"""What `gradient` refuses, and what it says."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.autodiff import gradient
from onnxpress.errors import MissingRuleError, ModelError, UnknownNameError, UsageError
from tests.core.autodiff.mlp import mlp
from tests.graphs import graph


def test_nothing_is_reached() -> None:
    with pytest.raises(UsageError, match="'h' depends on none of 'w2', 'b2'"):
        gradient(mlp(), "h", ["w2", "b2"])


def test_an_integer_parameter() -> None:
    model = graph(
        "g (float[N,4] x) => (float[N,2] y) { y = Gather<axis = 1>(x, i) }", i=np.array([0, 3])
    )
    with pytest.raises(UsageError, match="'i' holds int64; only floating-point"):
        gradient(model, "y", ["x", "i"])


def test_maxima_over_regions() -> None:
    model = graph(
        """g (float[1,2,6,6] x, float[3,4] boxes, int64[3] i) => (float[3,2,2,2] y) {
            y = RoiAlign<mode = "max", output_height = 2, output_width = 2>(x, boxes, i)
        }"""
    )
    with pytest.raises(ModelError, match=r"'y' takes the maximum; .* use mode 'avg', or train"):
        gradient(model, "y", "x")


def test_an_integer_target() -> None:
    model = graph("g (float[N,4] x) => (int64[N,1] y) { y = ArgMax<axis = 1>(x) }")
    with pytest.raises(UsageError, match="'y' holds int64"):
        gradient(model, "y", "x")


@pytest.mark.parametrize(("of", "wrt"), [("y", "w3"), ("yy", "w1")])
def test_an_unknown_name(of: str, wrt: str) -> None:
    said = r"no tensor called '(w3|yy)'.*did you mean '(w|y)"
    with pytest.raises(UnknownNameError, match=said):
        gradient(mlp(), of, wrt)


def test_a_tensor_inside_a_branch() -> None:
    model = graph(
        """g (float[4] x, bool c) => (float[4] y) {
            y = If (c) <
                then_branch = a () => (float[4] t) { u = Exp(x) t = Neg(u) },
                else_branch = b () => (float[4] e) { e = Identity(x) }
            >
        }"""
    )
    with pytest.raises(UsageError, match="'u'"):
        gradient(model, "y", "u")


def test_a_name_for_a_gradient_that_is_taken() -> None:
    once = gradient(mlp(), "y", "w1")
    with pytest.raises(UsageError, match=r"'grad\.w1' already; choose another"):
        gradient(once, "y", "w1")


def test_a_name_for_a_weight_that_is_taken() -> None:
    with pytest.raises(UsageError, match="'h' already"):
        gradient(mlp(), {"y": "h"}, "w1")


def test_integer_arithmetic_is_no_dead_end() -> None:
    """The gradient through the scale alone would look right and be wrong."""
    model = graph(
        """g (float[2,3] x, uint8[3,2] w) => (float[2,2] y) {
            q, s, z = DynamicQuantizeLinear(x)
            i = MatMulInteger(q, w, z)
            f = Cast<to = 1>(i)
            y = Mul(f, s)
        }"""
    )
    with pytest.raises(MissingRuleError, match=r"MatMulInteger \(opset 21\) at 'i'"):
        gradient(model, "y", "x")
