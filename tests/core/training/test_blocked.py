"""Convolutions in the layout of ONNX Runtime's kernels compute what the plain ones do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.autodiff.prepare import annotate
from onnxpress.data.batch import Array
from onnxpress.errors import ModelError
from onnxpress.graph.model import Model
from onnxpress.session import Session
from onnxpress.testing.require import as_bytes
from onnxpress.training import running
from onnxpress.training.blocked import DOMAIN, block_size, to_blocked
from tests.core.training.fitting import PLAIN, fitted, weights
from tests.graphs import graph, normal

SIZE = block_size()

needs_blocks = pytest.mark.skipif(
    not SIZE, reason="ONNX Runtime has no blocked kernels for this processor"
)


def convolution(
    shape: tuple[int, ...], channels: int, attributes: str = "group=1", *, bias: bool = False
) -> Model:
    """Return a convolution whose weights are given."""
    given = f"float[{','.join(map(str, shape))}] w{f', float[{shape[0]}] b' if bias else ''}"
    text = f"""g (float[N,{channels},12,12] x, {given}) => (float[N,{shape[0]},H,W] y) {{
        y = Conv<{attributes}>(x, w{", b" if bias else ""})
    }}"""
    return graph(text)


def blocked(model: Model, block: int | None = None) -> tuple[Model, int]:
    """Return the model in blocked form, and how many convolutions are."""
    edit = model.edit()
    annotate(edit.ir)
    count = to_blocked(edit.ir, block)
    return edit.done(), count


def feeds(model: Model, batch: int = 3) -> dict[str, Array]:
    found = {}
    for seed, value in enumerate(model.inputs):
        assert value.shape is not None
        dims = [dim if isinstance(dim, int) else batch for dim in value.shape]
        found[value.name or ""] = normal(*dims, seed=seed)
    return found


def agree(model: Model, other: Model) -> None:
    given = feeds(model)
    wanted = Session(model, threads=1).run(given)
    found = Session(other, threads=1).run(given)
    for name, array in wanted.items():
        scale = np.abs(array).max()
        np.testing.assert_allclose(found[name], array, atol=1e-5 * scale, err_msg=name)


def domains(model: Model) -> list[str]:
    return [f"{node.domain}.{node.op_type}" for node in model.ir.graph if node.domain == DOMAIN]


@needs_blocks
@pytest.mark.parametrize(
    "attributes",
    [
        "pads=[1,1,1,1]",
        "strides=[2,2]",
        "strides=[2,1], pads=[0,1,2,1]",
        "dilations=[2,3]",
        "dilations=[2,2], strides=[2,2], pads=[2,2,2,2]",
    ],
)
@pytest.mark.parametrize("kind", ["plain", "biased", "depthwise", "biased depthwise"])
def test_results_are_those_of_the_standard_graph(attributes: str, kind: str) -> None:
    depthwise = "depthwise" in kind
    shape = (2 * SIZE, 1, 3, 3) if depthwise else (SIZE, 2 * SIZE, 3, 3)
    group = f", group={2 * SIZE}" if depthwise else ""
    model = convolution(shape, 2 * SIZE, attributes + group, bias="biased" in kind)
    other, count = blocked(model)
    assert count == 1
    assert domains(other) == [f"{DOMAIN}.{op}" for op in ("ReorderInput", "Conv", "ReorderOutput")]
    agree(model, other)


@needs_blocks
@pytest.mark.parametrize("kernel", [(1, 1), (5, 3)])
def test_other_kernels(kernel: tuple[int, int]) -> None:
    model = convolution((SIZE, SIZE, *kernel), SIZE)
    other, count = blocked(model)
    assert count == 1
    agree(model, other)


B = SIZE or 16
CONV = "y = Conv(x, w)"
LEFT_ALONE: dict[str, Model] = {
    "grouped": convolution((2 * B, B, 3, 3), 2 * B, "group=2"),
    "channels out": convolution((B + 4, B, 3, 3), B),
    "channels in": convolution((B, B + 4, 3, 3), B + 4),
    "automatic pads": convolution((B, B, 3, 3), B, 'auto_pad="SAME_UPPER"'),
    "one axis": graph(f"g (float[N,{B},8] x, float[{B},{B},3] w) => (float[N,{B},6] y) {{{CONV}}}"),
    "stored": graph(
        f"g (float[N,{B},8,8] x) => (float[N,{B},6,6] y) {{{CONV}}}", w=normal(B, B, 3, 3)
    ),
    "double": graph(
        f"g (double[N,{B},8,8] x, double[{B},{B},3,3] w) => (double[N,{B},6,6] y) {{{CONV}}}"
    ),
    "unknown kernel": graph(
        f"g (float[N,{B},8,8] x, float[{B},{B},K,3] w) => (float[N,{B},H,6] y) {{{CONV}}}"
    ),
}


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_others_are_left_alone(name: str) -> None:
    other, count = blocked(LEFT_ALONE[name], B)
    assert count == 0
    assert not domains(other)
    assert DOMAIN not in other.ir.opset_imports


@needs_blocks
def test_an_input_of_several_is_reordered_once_and_weights_may_be_computed() -> None:
    text = f"""g (float[N,{SIZE},8,8] x, float[{SIZE},{SIZE},3,3] w) => (float[N,{SIZE},8,8] y) {{
        half = Constant<value = float {{0.5}}>()
        v = Mul(w, half)
        a = Conv<pads=[1,1,1,1]>(x, w)
        b = Conv<pads=[1,1,1,1]>(x, v)
        s = Add(a, b)
        y = Conv<pads=[1,1,1,1]>(s, w)
    }}"""
    model = graph(text)
    other, count = blocked(model)
    assert count == 3
    assert domains(other).count(f"{DOMAIN}.ReorderInput") == 2
    agree(model, other)


def test_without_blocks_everything_stays() -> None:
    model = convolution((16, 16, 3, 3), 16, bias=True)
    other, count = blocked(model, 0)
    assert count == 0
    assert as_bytes(other) == as_bytes(blocked(model, 0)[0])
    assert not domains(other)


def classifier() -> tuple[Model, dict[str, Array]]:
    text = """g (float[N,16,6,6] x) => (float[N,16] y) {
        a = Conv<pads=[1,1,1,1]>(x, w)
        r = Relu(a)
        b = Conv(r, v, c)
        p = GlobalAveragePool(b)
        y = Flatten(p)
    }"""
    tensors: dict[str, Any] = {
        "w": normal(16, 16, 3, 3) * 0.1,
        "v": normal(16, 16, 3, 3, seed=1) * 0.1,
        "c": normal(16),
    }
    return graph(text, **tensors), {"x": normal(24, 16, 6, 6), "labels": np.arange(24) % 16}


@needs_blocks
def test_training_runs_blocked_and_its_result_is_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def counted(model: Any) -> int:
        counts.append(to_blocked(model))
        return counts[-1]

    model, source = classifier()
    options = {**PLAIN, "batch": 8, "lr": 0.1, "epochs": 2}
    monkeypatch.setattr(running, "to_blocked", counted)
    result = fitted(model, source, **options).model
    assert counts[0] >= 3  # two on the way there, one for the gradient on the way back
    assert not domains(result)
    assert set(result.ir.opset_imports) == set(model.ir.opset_imports)
    monkeypatch.setattr(running, "to_blocked", lambda _model: 0)
    plain = fitted(model, source, **options).model
    for name, array in weights(plain).items():
        np.testing.assert_allclose(weights(result)[name], array, atol=1e-5)
        assert np.abs(array - weights(model)[name]).max() > 1e-3


def test_where_onnx_runtime_refuses_the_standard_graph_is_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def spoiled(model: Any) -> int:
        found = to_blocked(model, 16)
        for node in model.graph:
            node.op_type = "NoSuchOperator" if node.op_type == "Conv" else node.op_type
        return found

    model, source = classifier()
    options = {**PLAIN, "batch": 8, "lr": 0.1}
    wanted = weights(fitted(model, source, **options).model)
    monkeypatch.setattr(running, "to_blocked", spoiled)
    for name, array in weights(fitted(model, source, **options).model).items():
        np.testing.assert_allclose(array, wanted[name], atol=1e-5)


def test_a_step_that_does_not_load_at_all_is_a_model_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_args: Any, **_options: Any) -> Any:
        raise ModelError("ONNX Runtime does not load the model: no")

    monkeypatch.setattr(running, "open_in_order", refuse)
    monkeypatch.setattr(running, "open_session", refuse)
    model, source = classifier()
    with pytest.raises(ModelError, match="does not load"):
        fitted(model, source, **PLAIN)
