"""The error for operators without a rule says which, where, and what can still be done."""

from __future__ import annotations

import re

import pytest

from onnxpress.autodiff import GRADIENTS, gradient
from onnxpress.errors import MissingRuleError, ModelError
from onnxpress.graph.model import Model
from onnxpress.rules import RuleTable
from tests.graphs import graph, normal, proto


def fused(*names: str) -> Model:
    """Layers with FastGelu of ONNX Runtime between them, in nodes of the names given."""
    lines = [f"h{i + 1} = com.microsoft.FastGelu(h{i})" for i in range(len(names))]
    text = "\n".join(["h0 = MatMul(x, before)", *lines, f"y = MatMul(h{len(names)}, after)"])
    made = proto(
        f"g (float[N,4] x) => (float[N,2] y) {{ {text} }}", before=normal(4, 4), after=normal(4, 2)
    )
    for node, name in zip(made.graph.node[1:], names, strict=False):
        node.name = name
    return Model.from_proto(made)


def message(model: Model, *wrt: str) -> str:
    with pytest.raises(MissingRuleError) as raised:
        gradient(model, "y", wrt)
    return str(raised.value)


def test_it_names_operator_opset_and_node() -> None:
    said = message(fused("gelu 7"), "before")
    assert "no gradient rule for com.microsoft.FastGelu (opset 1) at 'gelu 7'" in said


def test_it_names_the_output_of_a_node_without_a_name() -> None:
    assert "FastGelu (opset 1) at 'h1'" in message(fused(""), "before")


def test_it_says_how_a_plugin_adds_a_rule() -> None:
    said = message(fused("a"), "before")
    assert "hook onnxpress_rules, table 'gradient'" in said
    assert '@GRADIENTS("FastGelu", domain="com.microsoft")' in said


def test_it_says_what_can_be_trained_all_the_same() -> None:
    assert "these can be trained: 'after'" in message(fused("a"), "before", "after", "x")
    assert "nothing that was asked for can be trained" in message(fused("a"), "before", "x")


def test_what_it_says_can_be_trained_can() -> None:
    found = gradient(fused("a"), "y", "after").run({"x": normal(3, 4)})
    assert found["grad.after"].shape == (4, 2)


def test_it_names_an_operator_once_with_its_nodes() -> None:
    said = message(fused(*(f"n{i}" for i in range(12))), "before")
    assert said.count("com.microsoft.FastGelu") == 1
    assert "at 'n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7' and 4 more" in said


def test_it_is_an_error_of_the_model() -> None:
    assert issubclass(MissingRuleError, ModelError)


def test_standard_operators_are_named_without_their_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    rules = [rule for rule in GRADIENTS if rule.op != "Tanh"]
    module = sys.modules["onnxpress.autodiff.gradient"]
    monkeypatch.setattr(module, "GRADIENTS", RuleTable("gradient", rules))
    model = graph("g (float[N,4] x) => (float[N,4] y) { y = Tanh(x) }")
    assert re.match(r"no gradient rule for Tanh \(opset 21\) at 'y'; ", message(model, "x"))


def test_an_operator_beside_the_way_needs_no_rule() -> None:
    model = graph(
        """g (float[N,4] x) => (float[N,4] y, float[N,4] z) {
            y = Exp(x)
            z = com.microsoft.FastGelu(y)
        }"""
    )
    assert gradient(model, "y", "x").run({"x": normal(3, 4)})["grad.x"].shape == (3, 4)


BRANCH = """g (float[N,4] x, bool c) => (float[N,2] y) {
    h = MatMul(x, before)
    z = If(c) <
        then_branch = a () => (float[N,4] t) { e = Exp(h) t = com.microsoft.FastGelu(e) },
        else_branch = b () => (float[N,4] u) { u = Identity(h) }
    >
    y = MatMul(z, after)
}"""

LOOP = """g (float[N,4] x, int64 n, bool go) => (float[N,2] y) {
    h = MatMul(x, before)
    z = Loop(n, go, h) <
        body = a (int64 i, bool on, float[N,4] s) => (bool more, float[N,4] t) {
            more = Identity(on)
            e = Exp(s)
            t = com.microsoft.FastGelu(e)
        }
    >
    y = MatMul(z, after)
}"""


@pytest.mark.parametrize("text", [BRANCH, LOOP], ids=["If", "Loop"])
def test_of_a_body_it_lists_what_was_asked_for(text: str) -> None:
    model = graph(text, before=normal(4, 4), after=normal(4, 2))
    said = message(model, "before", "after")
    assert "com.microsoft.FastGelu (opset 1) at" in said
    assert said.endswith("without a rule these can be trained: 'after'")
    assert "nothing that was asked for can be trained" in message(model, "before", "x")
