"""Settling: fixed sizes are written out, sizes that depend on the inputs are still asked for."""

from __future__ import annotations

import numpy as np

from onnxpress.channels.settle import settle
from onnxpress.graph.model import Model
from tests.core.channels.nets import check_law, found, image, net


def chain(sizes: str) -> Model:
    """Return a Reshape whose target is computed from the shape of what it reshapes."""
    return net(
        f"""(float[{sizes},6] x) => (float[N,M,K] y) {{
            a = MatMul(x, w1)
            s = Shape(a)
            n = Gather<axis=0>(s, first)
            c = Gather<axis=0>(s, last)
            h = Div(c, four)
            t = Concat<axis=0>(n, three, h)
            b = Reshape(a, t)
            d = ReduceMean<keepdims=0>(b, first)
            y = MatMul(b, w2)
        }}""",
        w1=(6, 12), w2=(4, 5), first=np.array([0]), last=np.array([1]), three=np.array([3]),
        four=np.array([3]),
    )  # fmt: skip


def test_a_chain_of_fixed_sizes_is_written_out() -> None:
    settled, _ = settle(chain("2"))
    assert {node.op_type for node in settled.ir.graph}.isdisjoint({"Shape", "Div", "Concat"})


def test_what_depends_on_the_inputs_is_still_asked_for() -> None:
    model = chain("N")
    settled, _ = settle(model)
    operators = [node.op_type for node in settled.ir.graph]
    assert "Shape" in operators
    assert "Div" not in operators
    for size in (1, 3):
        feeds = {"x": image(size, 6)}
        assert np.array_equal(settled.run(feeds)["y"], model.run(feeds)["y"])


def test_a_settled_model_is_cut_for_all_sizes() -> None:
    assert found(chain("N")) == {"w1.1 w2.0": 4}
    for size in (1, 3):
        check_law(chain("N"), {"x": image(size, 6)})


def test_a_shape_that_is_an_output_is_kept() -> None:
    model = net(
        """(float[N,6] x) => (float[N,3] y, int64[2] s) {
            a = MatMul(x, w1)
            s = Shape(a)
            y = MatMul(a, w2)
        }""",
        w1=(6, 5), w2=(5, 3),
    )  # fmt: skip
    assert found(model) == {}


def test_the_model_given_is_not_changed() -> None:
    model = chain("2")
    settle(model)
    assert "Shape" in {node.op_type for node in model.ir.graph}


def test_types_of_the_file_are_not_added_to() -> None:
    settled, _ = settle(chain("N"))
    inner = {v.name: v for node in settled.ir.graph for v in node.outputs}
    assert inner["a"].shape is None
