"""Operators without a rule of their own are written out by the standard's function bodies."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from onnxpress.autodiff import GRADIENTS
from onnxpress.autodiff import expand as expanding
from onnxpress.autodiff.backward import Walk
from onnxpress.autodiff.expand import DEEPEST
from onnxpress.autodiff.prepare import prepare
from onnxpress.autodiff.standard import standard_body
from onnxpress.graph.model import Model
from onnxpress.rules import RuleTable
from tests.graphs import graph, normal

HEAD_23 = '<ir_version: 10, opset_import: ["": 23]>'


def written_out(model: Model, lacking: Collection[str], of: str = "y", wrt: str = "x") -> Model:
    """Prepare a model as if there were no rules for some operators."""
    rules = [rule for rule in GRADIENTS if rule.op not in lacking]
    edit = model.edit()
    walk = Walk(RuleTable("gradient", rules), edit.ir.opset_imports)
    prepare(edit.ir, walk, {of}, {wrt})
    result = edit.done()
    result.check()
    return result


def operators(model: Model) -> list[str]:
    return [node.op_type for body in model.ir.graphs() for node in body]


def agree(one: Model, other: Model, **feeds: Any) -> None:
    wanted, found = one.run(feeds), other.run(feeds)
    assert list(wanted) == list(found)
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_plain_body_takes_the_attribute_of_the_node() -> None:
    model = graph("g (float[4] x) => (float[4] y) { y = Elu<alpha = 0.5>(x) }")
    result = written_out(model, {"Elu"})
    assert "Elu" not in operators(result)
    agree(model, result, x=normal(4))


def test_a_plain_body_takes_the_default_of_the_standard() -> None:
    model = graph("g (float[4] x) => (float[4] y) { y = ThresholdedRelu(x) }")
    result = written_out(model, {"ThresholdedRelu"})
    assert "ThresholdedRelu" not in operators(result)
    agree(model, result, x=normal(4) * 2)


def test_a_body_fits_the_inputs_that_are_given() -> None:
    model = graph("g (float[4] x) => (float[4] y) { y = Clip(x, , high) }", high=np.float32(0.3))
    result = written_out(model, {"Clip"})
    assert "Clip" not in operators(result)
    agree(model, result, x=normal(4))


def test_a_body_fits_attributes_that_choose_between_bodies() -> None:
    for approximate in ("none", "tanh"):
        model = graph(
            f'g (float[N,4] x) => (float[N,4] y) {{ y = Gelu<approximate="{approximate}">(x) }}'
        )
        result = written_out(model, {"Gelu"})
        assert ("Tanh" in operators(result)) == (approximate == "tanh")
        agree(model, result, x=normal(3, 4))


def test_outputs_keep_their_names_and_those_left_out_stay_out() -> None:
    model = graph(
        """g (float[2,4] x) => (float[2,4] y, float[2,1] spread, float[2,1] z) {
            y, , spread = LayerNormalization(x, w)
            z = Neg(spread)
        }""",
        w=np.ones(4),
    )
    result = written_out(model, {"LayerNormalization"})
    assert "LayerNormalization" not in operators(result)
    agree(model, result, x=normal(2, 4))


def test_bodies_in_bodies_are_written_out() -> None:
    model = graph(
        """g (float[3,4] x, int64[3] labels) => (float y) {
            y = SoftmaxCrossEntropyLoss(x, labels)
        }"""
    )
    lacking = {"SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss", "LogSoftmax"}
    result = written_out(model, lacking)
    assert not lacking & set(operators(result))
    agree(model, result, x=normal(3, 4), labels=np.array([0, 3, 1]))


def test_nodes_in_branches_are_written_out() -> None:
    model = graph(
        """g (float[4] x, bool c) => (float[4] y) {
            y = If (c) <
                then_branch = a () => (float[4] t) { u = HardSwish(x) t = Neg(u) },
                else_branch = b () => (float[4] e) { e = Elu(x) }
            >
        }"""
    )
    result = written_out(model, {"HardSwish", "HardSigmoid", "Elu"})
    assert not {"HardSwish", "Elu"} & set(operators(result))
    for chosen in (True, False):
        agree(model, result, x=normal(4), c=np.array(chosen))


def test_only_nodes_on_the_way_are_written_out() -> None:
    model = graph(
        """g (float[4] x, float[4] z) => (float[4] y, float[4] after, float[4] beside) {
            before = Elu(z)
            s = Selu(x)
            y = Add(s, before)
            after = Celu(y)
            beside = Softsign(x)
        }"""
    )
    result = written_out(model, {"Elu", "Selu", "Celu", "Softsign"})
    kept = set(operators(result))
    assert {"Elu", "Celu", "Softsign"} <= kept
    assert "Selu" not in kept
    agree(model, result, x=normal(4), z=normal(4, seed=1))


def test_nodes_with_a_rule_stay_as_they_are() -> None:
    model = graph("g (float[4] x) => (float[4] y) { y = Relu(x) }")
    assert operators(written_out(model, ())) == ["Relu"]


def test_names_that_a_body_would_take_are_left_to_the_model() -> None:
    probe = graph("g (float[4] x) => (float[4] y) { y = Softsign(x) }")
    inner = next(iter(written_out(probe, {"Softsign"}).ir.graph)).outputs[0].name
    model = graph(
        f"""g (float[4] x) => (float[4] y, float[4] z) {{
            y = Softsign(x)
            "{inner}" = Neg(x)
            z = Neg("{inner}")
        }}"""
    )
    agree(model, written_out(model, {"Softsign"}), x=normal(4))


def test_a_body_that_holds_its_own_operator_is_not_written_out_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def itself(node: ir.Node, opset: int, name: str) -> ir.Function | None:
        function = standard_body(node, opset, name)
        assert function is not None
        function[-1].op_type = node.op_type
        function[-1].resize_inputs(1)
        asked.append(node)
        return function

    monkeypatch.setattr(expanding, "standard_body", itself)
    model = graph("g (float[4] x) => (float[4] y) { y = Softsign(x) }")
    assert "Softsign" in operators(written_out(model, {"Softsign"}))
    assert len(asked) == DEEPEST


def test_an_operator_without_a_body_stays_for_the_error() -> None:
    model = graph("g (float[4] x) => (float[4] y) { y = Sin(x) }")
    assert operators(written_out(model, {"Sin"})) == ["Sin"]


def test_a_size_that_is_unknown_does_not_matter() -> None:
    model = graph(
        f"""{HEAD_23} g (float[B,S,W] q, float[B,T,W] k, float[B,T,W] v) => (float[B,S,W] y) {{
            y = Attention<q_num_heads = 2, kv_num_heads = 2>(q, k, v)
        }}"""
    )
    result = written_out(model, {"Attention"}, wrt="q")
    assert "Attention" not in operators(result)
    agree(model, result, q=normal(2, 3, 8), k=normal(2, 5, 8), v=normal(2, 5, 8, seed=1))
