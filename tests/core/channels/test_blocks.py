"""Blocks that a graph can do without."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from onnxpress.channels.blocks import find_blocks, without_blocks
from onnxpress.errors import UnknownNameError
from onnxpress.graph.model import Model
from tests.core.channels.nets import image, net


def residual() -> Model:
    return net(
        """(float[N,3,8,8] x) => (float[N,8,8,8] y) {
            a = Conv(x, w0)
            b1 = Conv<pads=[1,1,1,1]>(a, w1)
            r1 = Relu(b1)
            c1 = Conv<pads=[1,1,1,1]>(r1, w2)
            d1 = Add(c1, a)
            b2 = Conv(d1, w3)
            y = Add(d1, b2)
        }""",
        w0=(8, 3, 1, 1), w1=(6, 8, 3, 3), w2=(8, 6, 3, 3), w3=(8, 8, 1, 1),
    )  # fmt: skip


def test_residual_blocks_are_found() -> None:
    first, second = find_blocks(residual())
    assert (first.given, first.result, len(first.layers)) == ("a", "d1", 2)
    assert (second.given, second.result, len(second.layers)) == ("d1", "y", 1)
    assert [first.residual, second.residual] == [True, True]
    assert first.name == first.layers[0]


def test_a_model_without_a_block_gives_what_the_block_read() -> None:
    model = residual()
    first, second = find_blocks(model)
    feeds = {"x": image(2, 3, 8, 8)}
    parts = _with_outputs(model, ["a", "d1"]).run(feeds)
    only_first = without_blocks(model, [second.name])
    only_first.check()
    assert np.allclose(only_first.run(feeds)["y"], parts["d1"], atol=1e-5)
    none = without_blocks(model, [first.name, second.name])
    none.check()
    assert np.allclose(none.run(feeds)["y"], parts["a"], atol=1e-5)
    assert [layer.name for layer in none.layers] == ["a"]


def test_an_output_keeps_its_name_and_the_model_stays_as_it_was() -> None:
    model = residual()
    before = ir.to_proto(model.ir).SerializeToString()
    smaller = without_blocks(model, [block.name for block in find_blocks(model)])
    assert [v.name for v in smaller.outputs] == ["y"]
    assert ir.to_proto(model.ir).SerializeToString() == before


def test_a_block_whose_branch_reads_something_else_is_none() -> None:
    model = net(
        """(float[N,4] x, float[N,4] z) => (float[N,4] y) {
            a = MatMul(z, w)
            y = Add(a, x)
        }""",
        w=(4, 4),
    )  # fmt: skip
    assert [block.residual for block in find_blocks(model)] == [False]


def test_layers_that_keep_the_shape_are_blocks() -> None:
    model = net(
        """(float[N,6] x) => (float[N,3] y) {
            a = MatMul(x, w1)
            b = Relu(a)
            y = MatMul(b, w2)
        }""",
        w1=(6, 6), w2=(6, 3),
    )  # fmt: skip
    (block,) = find_blocks(model)
    assert (block.residual, block.given, block.result) == (False, "x", "a")
    feeds = {"x": image(2, 6)}
    got = without_blocks(model, [block.name]).run(feeds)["y"]
    weight = model.ir.graph.initializers["w2"].const_value
    assert weight is not None
    assert np.allclose(got, np.maximum(feeds["x"], 0) @ weight.numpy(), atol=1e-5)


def test_blocks_within_blocks_are_left_out() -> None:
    model = net(
        """(float[N,4] x) => (float[N,2] y) {
            a = MatMul(x, w1)
            b = Add(a, x)
            c = MatMul(b, w2)
            d = Add(c, x)
            y = MatMul(d, w3)
        }""",
        w1=(4, 4), w2=(4, 4), w3=(4, 2),
    )  # fmt: skip
    blocks = find_blocks(model)
    assert [block.result for block in blocks if block.residual] == ["b"]
    names = [name for block in blocks for name in block.layers]
    assert len(names) == len(set(names))


def test_an_unknown_block_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="no block called 'nothing'"):
        without_blocks(residual(), ["nothing"])


def _with_outputs(model: Model, names: list[str]) -> Model:
    edit = model.edit()
    edit.graph.outputs.extend(edit.values[name] for name in names)
    return edit.done()
