"""What is known of tensors: sizes that never change, and contents that follow from them."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.channels.known import look
from tests.core.channels.nets import net


def test_sizes_that_depend_on_inputs_are_none() -> None:
    model = net(
        """(float[N,4,H,8] x) => (float[N,M] y) {
            a = Relu(x)
            y = Flatten(a)
        }"""
    )
    values = {v.name: v for node in model.ir.graph for v in node.outputs}
    known = look(model.ir)
    assert known.sizes(values["a"]) == (None, 4, None, 8)
    assert known.sizes(values["y"]) == (None, None)
    first, second = known.shapes(values["a"]) or ((), ())
    assert first != second
    assert [a == b for a, b in zip(first, second, strict=True)] == [False, True, False, True]


def test_contents_are_known_if_they_never_change() -> None:
    model = net(
        """(float[N,4] x) => (float[N,4] y, int64[2] s, int64[1] c) {
            y = Relu(x)
            s = Shape(y)
            c = Slice(s, one, two)
        }""",
        one=np.array([1]), two=np.array([2]),
    )  # fmt: skip
    values = {v.name: v for node in model.ir.graph for v in node.outputs}
    known = look(model.ir)
    assert known.array(values["s"]) is None
    assert np.array_equal(np.asarray(known.array(values["c"])), [4])
    assert known.array(None) is None


def test_stored_tensors_are_known() -> None:
    model = net("(float[N,4] x) => (float[N,5] y) { y = MatMul(x, w) }", w=(4, 5))
    weight = model.ir.graph.initializers["w"]
    known = look(model.ir)
    assert known.sizes(weight) == (4, 5)
    assert np.asarray(known.array(weight)).shape == (4, 5)


def test_without_open_sizes_one_look_is_enough() -> None:
    model = net("(float[2,4] x) => (float[2,4] y) { y = Relu(x) }")
    first, second = look(model.ir).runs
    assert first is second
    assert first["y"] == (2, 4)


@pytest.mark.parametrize(
    "node",
    [
        "a = GroupNormalization<num_groups=2>(x, s, s)",
        "a = MeanVarianceNormalization(x)",
        "a = SimplifiedLayerNormalization(x, t)",
        "a = com.microsoft.QuantizeLinear(x, one, zero)",
    ],
)
def test_what_onnx_infers_no_shape_for_has_the_shape_of_its_input(node: str) -> None:
    model = net(
        f"(float[N,4,3,6] x) => (float y) {{ {node} c = Identity(a)  y = Size(c) }}",
        s=(4,), t=(6,), one=np.array(1, np.float32), zero=np.array(0, np.int8),
    )  # fmt: skip
    value = next(v for n in model.ir.graph for v in n.outputs if v.name == "c")
    assert look(model.ir).sizes(value) == (None, 4, 3, 6)


def test_nothing_is_known_behind_an_unknown_operator() -> None:
    model = net("(float[N,4] x) => (float[N,M] y) { a = com.acme.What(x)  y = Relu(a) }")
    value = next(v for node in model.ir.graph for v in node.outputs if v.name == "a")
    assert look(model.ir).sizes(value) is None
