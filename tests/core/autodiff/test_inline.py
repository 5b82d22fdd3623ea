"""Functions of a model are inlined before it is differentiated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.autodiff import gradient
from onnxpress.autodiff.inline import inline
from onnxpress.errors import ModelError
from onnxpress.graph.model import Model
from tests.graphs import graph, normal

HEAD = '<ir_version: 10, opset_import: ["": 21, "own": 1]>'
SCALE = """<domain: "own", opset_import: ["": 21]>
    Scale<by: float = 3.0>(x) => (y) {
        k = Constant<value_float: float = @by>()
        y = Mul(x, k)
    }"""


def inlined(model: Model, **feeds: Any) -> Model:
    """Inline, and see that the model computes what it did, under the same names."""
    edit = model.edit()
    inline(edit.ir)
    result = edit.done()
    result.check()
    assert not result.ir.functions
    assert all(not node.domain for body in result.ir.graphs() for node in body)
    wanted, found = model.run(feeds), result.run(feeds)
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    return result


def test_attributes_are_those_of_the_call_or_the_defaults() -> None:
    model = graph(
        f"""{HEAD} g (float[3] x) => (float[3] y, float[3] z) {{
            y = own.Scale<by = 2.0>(x)
            z = own.Scale(y)
        }} {SCALE}"""
    )
    inlined(model, x=normal(3))
    slopes = gradient(model, "z", "x").run({"x": normal(3)})["grad.x"]
    np.testing.assert_array_equal(slopes, np.full(3, 6.0, np.float32))


def test_inputs_and_outputs_may_be_left_out() -> None:
    model = graph(
        f"""{HEAD} g (float[3] x) => (float[3] y) {{
            , y = own.Both(x)
        }}
        <domain: "own", opset_import: ["": 21]>
        Both(a, high) => (first, second) {{
            first = Clip(a, , high)
            second = Neg(first)
        }}"""
    )
    inlined(model, x=normal(3))


def test_functions_call_functions_in_branches() -> None:
    model = graph(
        f"""{HEAD} g (float[3] x, bool c) => (float[3] y) {{ y = own.Choose(x, c) }}
        <domain: "own", opset_import: ["": 21, "own": 1]>
        Choose(x, c) => (y) {{
            y = If (c) <
                then_branch = a () => (t) {{ t = own.Scale<by = 5.0>(x) }},
                else_branch = b () => (e) {{ e = own.Scale(x) }}
            >
        }} {SCALE}"""
    )
    for chosen in (True, False):
        inlined(model, x=normal(3), c=np.array(chosen))
        slopes = gradient(model, "y", "x").run({"x": normal(3), "c": np.array(chosen)})["grad.x"]
        np.testing.assert_array_equal(slopes, np.full(3, 5 if chosen else 3, np.float32))


def test_names_inside_a_function_hide_none_of_the_model() -> None:
    model = graph(
        f"""{HEAD} g (float[3] x, bool c) => (float[3] y) {{
            s = own.Scale(x)
            y = If (c) <
                then_branch = a () => (float[3] t) {{ k = Neg(s) t = Exp(k) }},
                else_branch = b () => (float[3] e) {{ e = Identity(s) }}
            >
        }} {SCALE}"""
    )
    for chosen in (True, False):
        inlined(model, x=normal(3), c=np.array(chosen))


def test_a_function_of_another_opset_is_an_error() -> None:
    model = graph(
        f"""{HEAD} g (float[3] x) => (float[3] y) {{ y = own.Less(x) }}
        <domain: "own", opset_import: ["": 23]> Less(x) => (y) {{ y = Neg(x) }}"""
    )
    with pytest.raises(ModelError, match=r"Less.*version 21 in the model but version 23"):
        gradient(model, "y", "x")
