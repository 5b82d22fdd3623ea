"""`gradient`: what it is asked for, what it returns, and what it refuses."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxpress.autodiff import gradient, gradient_name
from onnxpress.data.batch import Array
from onnxpress.graph.constants import stored_values
from onnxpress.graph.model import Model
from onnxpress.graph.protos import to_proto
from onnxpress.testing.gradients import check_gradient, differences
from tests.core.autodiff.mlp import MLP, SUMMED, WEIGHTS, mlp, mlp_weights, ones_back
from tests.graphs import graph, normal


class TestResult:
    def test_outputs_are_those_of_the_model_and_a_gradient_for_each_name(self) -> None:
        result = gradient(mlp(), "y", ["w2", "x", "w1"])
        assert [v.name for v in result.outputs] == ["y", "grad.w2", "grad.x", "grad.w1"]
        assert [v.name for v in result.inputs] == ["x"]
        shapes = [result.types[f"grad.{name}"].shape for name in ("w2", "x", "w1")]
        assert shapes == [(3, 2), ("N", 4), (4, 3)]

    def test_an_inner_tensor_that_is_differentiated_becomes_an_output(self) -> None:
        model = mlp()
        result = gradient(model, "h", "w1")
        assert [v.name for v in result.outputs] == ["y", "h", "grad.w1"]
        x = normal(5, 4)
        np.testing.assert_array_equal(result.run({"x": x})["y"], model.run({"x": x})["y"])

    def test_names_of_gradients_can_be_chosen(self) -> None:
        result = gradient(mlp(), "y", "w1", called="slope of {}")
        assert [v.name for v in result.outputs] == ["y", "slope of w1"]

    def test_what_the_model_computes_stays_the_same(self) -> None:
        model, x = mlp(), normal(5, 4)
        result = gradient(model, "y", WEIGHTS).run({"x": x})
        np.testing.assert_array_equal(result["y"], model.run({"x": x})["y"])

    def test_the_model_is_left_as_it_was(self) -> None:
        model = graph(
            """<ir_version: 10, opset_import: ["": 21, "own": 1]>
            g (float[N,4] x) => (float[N,4] y) { a = own.Twice(x) y = HardSwish(a) }
            <domain: "own", opset_import: ["": 21]> Twice(x) => (y) { y = Add(x, x) }"""
        )
        for subject, names in ((model, ["x"]), (mlp(), [*WEIGHTS, "x"])):
            before = to_proto(subject.ir).SerializeToString()
            gradient(subject, "y", names)
            assert to_proto(subject.ir).SerializeToString() == before

    def test_the_same_twice_is_the_same_to_the_byte(self) -> None:
        first, second = (gradient(mlp(), "y", WEIGHTS) for _ in range(2))
        assert to_proto(first.ir).SerializeToString() == to_proto(second.ir).SerializeToString()

    def test_it_holds_standard_operators_only_and_passes_the_checker(self) -> None:
        result = gradient(mlp(), "y", WEIGHTS)
        result.check()
        onnx.checker.check_model(to_proto(result.ir), full_check=True)
        assert not result.ir.functions
        assert {node.domain for node in result.ir.graph} == {""}

    def test_no_node_is_there_for_nothing(self) -> None:
        result = gradient(mlp(), "y", "b2")
        assert not _dead(result)
        forward = len(mlp().ir.graph)
        added = [node.op_type for node in list(result.ir.graph)[forward:]]
        assert "MatMul" not in added
        assert "Gemm" not in added

    def test_weights_are_stored_once(self) -> None:
        before, after = (
            sum(tensor.nbytes for _, tensor in stored_values(model.ir))
            for model in (mlp(), gradient(mlp(), "y", [*WEIGHTS, "x"]))
        )
        assert before <= after < before + normal(4, 3).nbytes

    def test_the_number_of_nodes_grows_with_the_depth(self) -> None:
        counts = [len(gradient(_chain(depth), "y", "x").ir.graph) for depth in (4, 8, 16)]
        assert counts[2] - counts[1] == 2 * (counts[1] - counts[0])


def _chain(depth: int) -> Model:
    """Blocks with a residual sum, a shared weight, and an operator that is written out."""
    lines = ["h0 = Identity(x)"]
    for i in range(depth):
        lines += [
            f"m{i} = MatMul(h{i}, w)",
            f"a{i} = MeanVarianceNormalization<axes = [1]>(m{i})",
            f"h{i + 1} = Add(a{i}, h{i})",
        ]
    text = "\n".join([*lines, f"y = Identity(h{depth})"])
    return graph(f"g (float[N,4] x) => (float[N,4] y) {{ {text} }}", w=normal(4, 4))


def _dead(model: Model) -> list[str | None]:
    outputs = set(model.ir.graph.outputs)
    return [
        node.name
        for node in model.ir.graph
        if not any(value.uses() or value in outputs for value in node.outputs)
    ]


class TestOf:
    def test_a_tensor_of_several_elements_counts_as_their_sum(self) -> None:
        model, x = mlp(), normal(5, 4)
        found = ones_back(model, "y", "w1", x=x)
        text = MLP.replace("[N,2] y)", "[N,2] y, float[] s)").replace("}", SUMMED)
        summed = graph(text, **mlp_weights())
        np.testing.assert_allclose(ones_back(summed, "s", "w1", x=x), found, rtol=1e-6)

    def test_several_tensors_take_weights_from_new_inputs(self) -> None:
        model, x = mlp(), normal(5, 4)
        result = gradient(model, {"y": "cy", "h": "ch"}, WEIGHTS)
        assert [v.name for v in result.inputs] == ["x", "cy", "ch"]
        assert [v.name for v in result.outputs] == ["y", "h", *map(gradient_name, WEIGHTS)]
        assert result.types["ch"] == model.types["h"]
        weights = {"cy": normal(5, 2, seed=8), "ch": normal(5, 3, seed=9)}
        both = result.run({"x": x, **weights})
        none = np.zeros_like
        one = result.run({"x": x, "cy": weights["cy"], "ch": none(weights["ch"])})
        other = result.run({"x": x, "cy": none(weights["cy"]), "ch": weights["ch"]})
        for name in map(gradient_name, WEIGHTS):
            np.testing.assert_allclose(both[name], one[name] + other[name], rtol=1e-4, atol=1e-5)
        wanted = differences(model.run, {"x": x}, "x", "y", weights["cy"], 1e-2)
        found = gradient(model, {"y": "cy"}, "x").run({"x": x, "cy": weights["cy"]})["grad.x"]
        np.testing.assert_allclose(found, wanted, rtol=1e-2, atol=1e-3)

    def test_a_tensor_with_respect_to_itself_is_ones(self) -> None:
        found = ones_back(mlp(), "h", "h", x=normal(5, 4))
        np.testing.assert_array_equal(found, np.ones((5, 3), np.float32))

    def test_one_differentiated_tensor_behind_another(self) -> None:
        model, x = mlp(), normal(5, 4)
        result = gradient(model, {"y": "cy", "h": "ch"}, "h")
        weights = {"cy": np.ones((5, 2), np.float32), "ch": np.full((5, 3), 2, np.float32)}
        found = result.run({"x": x, **weights})
        wanted = ones_back(model, "y", "h", x=x) + 2
        np.testing.assert_allclose(found["grad.h"], wanted, rtol=1e-6)


class TestWithRespectTo:
    @pytest.mark.parametrize("name", ["x", "a", "b", "h", *WEIGHTS])
    def test_inputs_stored_and_inner_tensors(self, name: str) -> None:
        model, x = mlp(), normal(5, 4)
        assert ones_back(model, "y", name, x=x).shape == _value(model, name, x).shape
        if name == "x":
            check_gradient(model, {"x": x}, ["x"])

    def test_an_inner_tensor_is_as_if_it_were_an_input(self) -> None:
        found = ones_back(mlp(), "y", "h", x=normal(5, 4))
        np.testing.assert_allclose(found, np.tile(normal(3, 2, seed=2).sum(1), (5, 1)), rtol=1e-6)

    def test_the_output_of_a_constant_node(self) -> None:
        model = graph(
            """g (float[N,2] x) => (float[N,2] y) {
                w = Constant<value = float[2] {3, -1}>()
                y = Mul(x, w)
            }"""
        )
        x = normal(4, 2)
        np.testing.assert_allclose(ones_back(model, "y", "w", x=x), x.sum(0), rtol=1e-6)

    def test_a_weight_behind_plain_nodes(self) -> None:
        model = graph(
            """g (float[N,4] x) => (float[N,3] y) {
                i = Identity(w)
                t = Transpose<perm = [1, 0]>(i)
                y = MatMul(x, t)
            }""",
            w=normal(3, 4),
        )
        x = normal(5, 4)
        np.testing.assert_allclose(
            ones_back(model, "y", "w", x=x), np.tile(x.sum(0), (3, 1)), rtol=1e-5
        )

    def test_a_weight_that_several_nodes_read(self) -> None:
        model = graph(
            """g (float[N,3] x) => (float[N,3] y) {
                a = MatMul(x, w)
                b = MatMul(a, w)
                y = Mul(b, a)
            }""",
            w=normal(3, 3),
        )
        fed = graph(
            """g (float[N,3] x, float[3,3] w) => (float[N,3] y) {
                a = MatMul(x, w)
                b = MatMul(a, w)
                y = Mul(b, a)
            }"""
        )
        x, w = normal(5, 3), normal(3, 3)
        check_gradient(fed, {"x": x, "w": w}, ["w", "x"])
        np.testing.assert_allclose(
            ones_back(model, "y", "w", x=x), ones_back(fed, "y", "w", x=x, w=w), rtol=1e-6
        )

    def test_what_is_not_reached_gets_zeros(self) -> None:
        result = gradient(mlp(), "h", ["w1", "w2", "b2"])
        found = result.run({"x": normal(5, 4)})
        assert found["grad.w1"].any()
        np.testing.assert_array_equal(found["grad.w2"], np.zeros((3, 2), np.float32))
        np.testing.assert_array_equal(found["grad.b2"], np.zeros(2, np.float32))

    def test_what_only_steers_gets_zeros(self) -> None:
        model = graph(
            """g (float[4] x, float[4] z) => (float[4] y) {
                c = Less(x, z)
                f = Cast<to = 1>(c)
                y = Mul(z, f)
            }"""
        )
        found = gradient(model, "y", ["x", "z"]).run({"x": normal(4), "z": normal(4, seed=1)})
        np.testing.assert_array_equal(found["grad.x"], np.zeros(4, np.float32))

    def test_an_initializer_that_is_an_input_too(self) -> None:
        model = graph(
            "g (float[N,4] x, float[4] w) => (float[N,4] y) { y = Mul(x, w) }", w=normal(4)
        )
        x = normal(5, 4)
        np.testing.assert_allclose(ones_back(model, "y", "w", x=x), x.sum(0), rtol=1e-5)


def _value(model: Model, name: str, x: Array) -> Array:
    if name == "x":
        return x
    if name in (weights := mlp_weights()):
        return weights[name]
    edit = model.edit()
    if edit.values[name] not in edit.graph.outputs:
        edit.graph.outputs.append(edit.values[name])
    return edit.done().run({"x": x})[name]
