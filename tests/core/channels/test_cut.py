"""Cutting: what is asked for goes, and what can't go is refused."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from onnxpress.channels import Channels, find_channels
from onnxpress.errors import OptionError, UnknownNameError
from onnxpress.graph.constants import constant_tensor, stored_values
from onnxpress.graph.model import Model
from tests.core.channels.nets import check_law, image, net


def two_layers() -> Model:
    return net(
        "(float[N,6] x) => (float[N,3] y) <float[N,5] a> { a = MatMul(x, w1)  y = MatMul(a, w2) }",
        w1=(6, 5), w2=(5, 3),
    )  # fmt: skip


def channels() -> Channels:
    return find_channels(two_layers())


def test_the_channels_named_go() -> None:
    found = channels()
    cut = found.cut({found.groups[0].name: [1, 4]})
    before, after = _stored(two_layers()), _stored(cut)
    assert np.array_equal(after["w1"], before["w1"][:, [0, 2, 3]])
    assert np.array_equal(after["w2"], before["w2"][[0, 2, 3]])


def test_shapes_that_the_graph_notes_are_corrected() -> None:
    found = channels()
    cut = found.cut({found.groups[0].name: [1, 4]})
    assert {v.name: str(v.shape) for n in cut.ir.graph for v in n.outputs}["a"] == "[N,3]"


def test_numpy_indices_and_duplicates_are_taken() -> None:
    found = channels()
    name = found.groups[0].name
    once, twice = found.cut({name: [2]}), found.cut({name: np.array([2, 2])})
    assert all(np.array_equal(a, _stored(twice)[n]) for n, a in _stored(once).items())


def test_nothing_to_cut_is_the_model() -> None:
    found = channels()
    assert found.cut({}) is found.model
    assert found.cut({found.groups[0].name: []}) is found.model


def test_same_cut_same_bytes() -> None:
    cuts = [(c := channels()).cut({c.groups[0].name: [0]}) for _ in range(2)]
    first, second = (ir.to_proto(cut.ir).SerializeToString() for cut in cuts)
    assert first == second


def test_an_unknown_group_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="no channel group called 'b'") as refused:
        channels().cut({"b": [0]})
    assert channels().groups[0].name in str(refused.value)


@pytest.mark.parametrize("number", [5, -1])
def test_an_unknown_channel_is_refused(number: int) -> None:
    found = channels()
    with pytest.raises(OptionError, match="has the channels 0 to 4 only"):
        found.cut({found.groups[0].name: [number]})


def test_all_channels_are_refused() -> None:
    found = channels()
    with pytest.raises(OptionError, match=r"all 5 channels of .* would go; one must stay"):
        found.cut({found.groups[0].name: range(5)})


def test_equal_vectors_are_cut_apart() -> None:
    model = net(
        """(float[N,6] x) => (float[N,3] y) {
            a = MatMul(x, w1)
            a1 = Add(a, bias)
            b = MatMul(a1, w2)
            b1 = Add(b, bias)
            y = MatMul(b1, w3)
        }""",
        w1=(6, 5), w2=(5, 5), w3=(5, 3), bias=(5,),
    )  # fmt: skip
    found = find_channels(model)
    first, second = (group.name for group in found.groups)
    cut = found.cut({first: [0], second: [1, 2]})
    sizes = sorted(a.size for name, a in _stored(cut).items() if name.startswith("bias"))
    assert sizes == [3, 4]
    assert cut.run({"x": image(2, 6)})["y"].shape == (2, 3)
    check_law(model, {"x": image(2, 6)})


@pytest.mark.parametrize("target", ["computed", "stored"])
def test_targets_of_reshapes_are_corrected(target: str) -> None:
    """The target is computed from sizes, one of which depends on the inputs."""
    shape = (
        """s = Shape<start=0, end=1>(x)  t = Concat<axis=0>(s, rest)"""
        if target == "computed"
        else "t = Identity(full)"
    )
    model = net(
        f"""(float[N,3,4,4] x) => (float[N,5] y) {{
            a = Conv(x, w1)
            {shape}
            b = Reshape(a, t)
            y = MatMul(b, w2)
        }}""",
        w1=(6, 3, 1, 1), w2=(96, 5), rest=np.array([96]), full=np.array([-1, 96]),
    )  # fmt: skip
    assert [group.size for group in find_channels(model).groups] == [6]
    for size in (1, 3):
        check_law(model, {"x": image(size, 3, 4, 4)}, tolerance=1e-4)


def test_half_precision_and_constant_nodes_are_cut_too() -> None:
    half = net(
        """(float16[N,6] x) => (float16[N,3] y) {
            a = MatMul(x, w1)
            b = Add(a, bias)
            y = MatMul(b, w2)
        }""",
        w1=image(6, 5).astype(np.float16), bias=image(5).astype(np.float16),
        w2=image(5, 3).astype(np.float16),
    )  # fmt: skip
    check_law(half, {"x": image(2, 6).astype(np.float16)}, tolerance=1e-2)
    nodes = net(
        """(float[N,6] x) => (float[N,3] y) {
            a = MatMul(x, w1)
            bias = Constant<value = float[5] {1.0, 2.0, 3.0, 4.0, 5.0}>()
            b = Add(a, bias)
            y = MatMul(b, w2)
        }""",
        w1=(6, 5), w2=(5, 3),
    )  # fmt: skip
    assert [len(group.members) for group in find_channels(nodes).groups] == [3]
    check_law(nodes, {"x": image(2, 6)})


def _stored(model: Model) -> dict[str, np.ndarray]:
    tensors = {v.name or "": constant_tensor(v) for v, _ in stored_values(model.ir)}
    return {name: np.asarray(t.numpy()) for name, t in tensors.items() if t is not None}
