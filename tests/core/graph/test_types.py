"""Shapes and types, also those that `onnx.shape_inference` alone does not find."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import onnx_ir as ir
import pytest

from onnxpress.errors import OptionError, UnknownNameError
from onnxpress.graph.model import Model
from onnxpress.graph.types import TensorType, assumed_dims, infer_types, input_dims
from tests.graphs import graph, normal

FLOAT = ir.DataType.FLOAT


def test_symbols_stay_symbols_without_sizes() -> None:
    model = graph(
        "g (float[N,4] x) => (float[M,K] y) { a = Relu(x) b = MatMul(a, w) y = Neg(b) }",
        w=normal(4, 3),
    )
    assert model.types["a"] == TensorType(FLOAT, ("N", 4))
    assert model.types["b"] == TensorType(FLOAT, ("N", 3))
    assert model.types["w"] == TensorType(FLOAT, (4, 3))
    assert model.types["a"].fixed is None
    assert model.types["w"].fixed == (4, 3)


def test_sizes_for_symbols() -> None:
    model = graph("g (float[N,T,4] x) => (float[N,T,3] y) { y = MatMul(x, w) }", w=normal(4, 3))
    assert infer_types(model.ir, {})["y"].shape == (1, 1, 3)
    assert infer_types(model.ir, {"T": 7})["y"].shape == (1, 7, 3)
    assert model.inputs[0].shape == ["N", "T", 4]  # the graph itself stays


def test_a_dimension_without_a_name_is_named_by_its_place() -> None:
    model = graph("g (float[N,?,4] x) => (float y) { y = Relu(x) }")
    assert input_dims(model.ir) == {("x", 0): "N", ("x", 1): "x[1]"}
    assert infer_types(model.ir, {"x[1]": 5})["y"].shape == (1, 5, 4)
    assert assumed_dims(model.ir, {"N": 2}) == ("x[1]",)


def test_unknown_dimensions_and_impossible_sizes_are_errors() -> None:
    model = graph("g (float[batch,4] x) => (float y) { y = Relu(x) }")
    with pytest.raises(UnknownNameError, match="did you mean 'batch'"):
        infer_types(model.ir, {"bach": 2})
    with pytest.raises(OptionError, match="'batch' must be at least 1, not 0"):
        infer_types(model.ir, {"batch": 0})


FLATTEN = """g (float[N,2,3,4] x) => (float[N,M] y) {
    s = Shape(x)
    zero = Constant<value_int = 0>()
    n = Gather(s, zero)
    axes = Constant<value_ints = [0]>()
    u = Unsqueeze(n, axes)
    rest = Constant<value_ints = [-1]>()
    c = Concat<axis = 0>(u, rest)
    r = Reshape(x, c)
    y = MatMul(r, w)
}"""


def test_shapes_computed_from_shapes() -> None:
    types = infer_types(graph(FLATTEN, w=normal(24, 5)).ir, {"N": 3})
    assert types["r"].shape == (3, 24)
    assert types["y"].shape == (3, 5)


def test_shapes_computed_by_a_chain_of_constants() -> None:
    # The paddings of a PyTorch export: zeros, put after the given ones, turned round.
    model = graph(
        """g (float[N,2,4,4] x) => (float y) {
            given = Constant<value_ints = [0,0,0,0,3,3]>()
            two = Constant<value_ints = [2]>()
            zeros = ConstantOfShape<value = int64[1] {0}>(two)
            all = Concat<axis = 0>(given, zeros)
            pairs = Constant<value_ints = [-1,2]>()
            table = Reshape(all, pairs)
            t = Transpose<perm = [1,0]>(table)
            flat = Constant<value_ints = [-1]>()
            r = Reshape(t, flat)
            starts = Constant<value_ints = [3]>()
            axis = Constant<value_ints = [0]>()
            steps = Constant<value_ints = [-1]>()
            ends = Constant<value_ints = [-9223372036854775807]>()
            first = Slice(r, starts, ends, axis, steps)
            from4 = Constant<value_ints = [7]>()
            to4 = Constant<value_ints = [3]>()
            second = Slice(r, from4, to4, axis, steps)
            pads = Concat<axis = 0>(first, second)
            y = Pad(x, pads)
        }"""
    )
    assert infer_types(model.ir, {})["y"].shape == (1, 8, 4, 4)


BRANCHES = """g (float[N,4] x, bool c) => (float y) {{
    known = Constant<value = bool {{{value}}}>()
    y = If({condition}) <
        then_branch = t () => (float p) {{ inner = Relu(x) p = MatMul(inner, w) }},
        else_branch = e () => (float q) {{ q = MatMul(x, v) }}
    >
}}"""


@pytest.mark.parametrize(("value", "shape"), [(1, (1, 3)), (0, (1, 2))])
def test_a_branch_that_is_known_to_be_taken(value: int, shape: tuple[int, ...]) -> None:
    model = graph(BRANCHES.format(value=value, condition="known"), w=normal(4, 3), v=normal(4, 2))
    types = infer_types(model.ir, {})
    assert types["y"].shape == shape
    assert types["inner"].shape == (1, 4)


def test_branches_that_agree_and_branches_that_do_not() -> None:
    text = BRANCHES.format(value=1, condition="c")
    same = graph(text, w=normal(4, 3), v=normal(4, 3))
    assert infer_types(same.ir, {})["y"].shape == (1, 3)
    other = graph(text, w=normal(4, 3), v=normal(4, 2))
    assert infer_types(other.ir, {})["y"].fixed is None


def test_what_a_file_says_of_custom_operators_is_kept() -> None:
    model = graph(
        """g (float[N,4] x) => (float[N,6] y) <float[N,5] a> {
            a = acme.Op(x)
            b = Relu(a)
            y = acme.Op(b)
        }"""
    )
    assert infer_types(model.ir)["b"].shape == ("N", 5)
    types = infer_types(model.ir, {"N": 2})
    assert (types["a"].shape, types["b"].shape, types["y"].shape) == ((2, 5), (2, 5), (2, 6))


def test_a_contradiction_in_the_file_does_no_harm(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    model = graph("g (float[2,4] x) => (float[2,3] y) { y = MatMul(x, w) }", w=normal(4, 3))
    model.ir.graph.inputs[0].shape = ir.Shape([2, 5])  # does not fit w
    with warnings.catch_warnings(), caplog.at_level(logging.DEBUG):
        warnings.simplefilter("error")
        types = infer_types(model.ir)
    assert types["x"].shape == (2, 5)
    assert types["y"].shape == (2, 3)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_big_tensors_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of subgraphs and of Constant nodes; shapes are found all the same."""
    model = graph(
        """g (float[N,600] x, bool c) => (float y) {
            k = Constant<value_floats = [VALUES]>()
            a = Add(x, k)
            y = If(c) <
                then_branch = t () => (float p) { p = MatMul(a, w) },
                else_branch = e () => (float q) { q = MatMul(a, w) }
            >
        }""".replace("VALUES", ",".join(["1.0"] * 600)),
        w=normal(600, 700),
    )
    sizes: list[int] = []
    infer = __import__("onnx").shape_inference.infer_shapes

    def watched(proto: object, **options: object) -> object:
        sizes.append(len(proto.SerializeToString()))  # type: ignore[attr-defined]
        return infer(proto, **options)

    monkeypatch.setattr("onnx.shape_inference.infer_shapes", watched)
    assert infer_types(model.ir, {})["y"].shape == (1, 700)
    assert sizes
    assert max(sizes) < 2000
    assert {v.name for v in model.ir.graph.inputs} == {"x", "c"}  # the model itself is untouched


def test_two_branches_may_use_one_name() -> None:
    model = graph(
        """g (float[N,4] x, bool c) => (float y) {
            y = If(c) <
                then_branch = t () => (float p) { h = MatMul(x, w) p = Relu(h) },
                else_branch = e () => (float q) { h = MatMul(x, v) q = Relu(h) }
            >
        }""",
        w=normal(4, 3),
        v=normal(4, 2),
    )
    types = infer_types(model.ir, {})
    assert types["h"].shape is None
    assert (types["p"].shape, types["q"].shape) == ((1, 3), (1, 2))


def test_loops_and_sequences() -> None:
    model = graph(
        """g (float[2,4] x, int64 n) => (float[2,4] y, seq(float) z) {
            yes = Constant<value = bool {1}>()
            y = Loop(n, yes, x) <
                body = b (int64 i, bool more, float[2,4] h) => (bool again, float[2,4] o) {
                    again = Identity(more)
                    o = MatMul(h, w)
                }
            >
            z = SequenceConstruct(y)
        }""",
        w=normal(4, 4),
    )
    types = infer_types(model.ir, {})
    assert types["o"].shape == (2, 4)
    assert types["z"] == TensorType(None, None)


def test_scalars_and_empty_tensors() -> None:
    model = graph("g (float[0,4] x, float s) => (float y) { y = Mul(x, s) }")
    assert infer_types(model.ir, {})["y"].shape == (0, 4)


def test_random_numbers_are_not_taken_for_constants() -> None:
    model = graph(
        """g (float[1] x) => (float[M] y) {
            r = RandomUniform<shape = [1], low = 1.0, high = 9.0>()
            i = Cast<to = 7>(r)
            y = Expand(x, i)
        }"""
    )
    assert infer_types(model.ir, {})["y"].fixed is None


@pytest.mark.parametrize(
    "name",
    ["gtcrn/gtcrn.onnx", "stories260k/stories260k.onnx", "silero_vad/silero_vad_half.onnx"],
)
def test_every_shape_of_models_full_of_shape_arithmetic(shared: object, name: str) -> None:
    model = Model.load(f"{shared}/models/{name}")
    types = infer_types(model.ir, {"sequence": 512} if "silero" in name else {})
    products = [n for g in model.ir.graphs() for n in g if n.op_type in {"MatMul", "Conv", "GRU"}]
    assert products
    assert all(types[n.outputs[0].name or ""].fixed is not None for n in products)


def test_shapes_agree_with_onnx_runtime(shared: object) -> None:
    """ONNX Runtime is the judge: the shapes found are those it computes."""
    from onnxpress.data.random import random_feeds
    from onnxpress.session import Session

    model = Model.load(f"{shared}/models/stories260k/stories260k.onnx")
    names = [n.outputs[0].name or "" for n in model.ir.graph if n.op_type in {"MatMul", "Reshape"}]
    types = infer_types(model.ir, {"batch": 2, "seq": 5})
    feeds = random_feeds(model, dims={"batch": 2, "seq": 5})
    results = Session(model, outputs=names, optimize=False).run(feeds, names)
    assert {n: types[n].shape for n in names} == {n: a.shape for n, a in results.items()}
    assert all(isinstance(a, np.ndarray) for a in results.values())
