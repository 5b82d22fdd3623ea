from __future__ import annotations

import json
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from onnxpress import comparison
from onnxpress.comparison import Comparison, compare
from onnxpress.data.batch import Array, Feeds
from onnxpress.errors import UsageError
from onnxpress.graph.model import Model
from onnxpress.session import Session
from tests.graphs import graph, normal

TEXT = """g (float[N,6] x) => (float[N,3] y) {
    a = MatMul(x, w)
    b = Add(a, bias)
    c = Relu(b)
    y = MatMul(c, v)
}"""
WEIGHTS = {"w": normal(6, 5), "bias": normal(5), "v": normal(5, 3)}


def model(**changed: Array) -> Model:
    return graph(TEXT, **{**WEIGHTS, **changed})


def test_a_model_and_itself() -> None:
    found = compare(model(), model())
    assert [d.name for d in found.outputs] == ["y"]
    assert [d.name for d in found.layers] == ["a", "b", "c"]
    assert all(d.max_abs == 0 and d.sqnr_db is None for d in (*found.outputs, *found.layers))
    assert found.outputs[0].top1_agreement == 1
    assert found.data == "random inputs (seed 0)"
    assert found.samples == found.layer_samples == 16


def test_differences_begin_where_the_models_part() -> None:
    found = compare(model(), model(bias=WEIGHTS["bias"] + 0.5))
    figures = {d.name: d.max_abs for d in (*found.layers, *found.outputs)}
    assert figures["a"] == 0
    assert figures["b"] == pytest.approx(0.5, rel=1e-5)
    assert figures["y"] > 0
    assert [d.op_type for d in found.layers] == ["MatMul", "Add", "Relu"]


def test_figures_on_given_data() -> None:
    x = normal(20, 6, seed=3)
    other = model(v=1.5 * WEIGHTS["v"])
    found = compare(model(), other, data={"x": x})
    ours, theirs = model().run({"x": x})["y"], other.run({"x": x})["y"]
    assert found.samples == 20
    assert "random" not in found.data
    assert found.outputs[0].max_abs == pytest.approx(np.abs(theirs - ours).max(), rel=1e-5)
    assert found.outputs[0].relative_l2 == pytest.approx(0.5, rel=1e-5)
    assert found.outputs[0].cosine == pytest.approx(1)


def test_seed() -> None:
    other = model(v=WEIGHTS["v"] + normal(5, 3, seed=9))
    first, again, changed = (compare(model(), other, seed=s).to_dict() for s in (1, 1, 2))
    assert first == again
    assert first["outputs"] != changed["outputs"]


def test_inner_tensors_of_few_samples_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_LAYER_SAMPLES", 21)
    batches: list[int] = []
    run = Session.run

    def watched(self: Session, feeds: Feeds, names: Iterable[str]) -> dict[str, Array]:
        batches.append(len(feeds["x"]))
        return run(self, feeds, names)

    monkeypatch.setattr(Session, "run", watched)
    found = compare(model(), model(), data=[normal(16, 6), normal(16, 6), normal(16, 6)])
    assert (found.samples, found.layer_samples) == (48, 21)
    assert batches[6:] == [8, 8, 8, 8, 5, 5]  # both models, pieces of 8, then what is left


def test_what_the_models_are_made_of() -> None:
    other = graph(
        "g (float[N,6] x) => (float[N,3] y) { a = MatMul(x, w) y = Sigmoid(a) }", w=normal(6, 3)
    )
    found = compare(model(), other)
    assert (found.a.nodes, found.b.nodes) == (4, 2)
    assert (found.a.parameters, found.b.parameters) == (30 + 5 + 15, 18)
    assert (found.a.macs, found.b.macs) == (45, 18)
    assert dict(found.b.operators) == {"MatMul": 1, "Sigmoid": 1}


def test_other_dtype_under_one_name_is_not_compared() -> None:
    """A quantized model may keep a name for the integers that replaced the floats."""
    other = graph(
        """g (float[N,6] x) => (float[N,3] y) {
            a = QuantizeLinear(x, s, z)
            d = DequantizeLinear(a, s, z)
            y = MatMul(d, w)
        }""",
        s=np.float32(0.1),
        z=np.int8(0),
        w=normal(6, 3),
    )
    assert compare(model(), other).layers == ()


def test_several_outputs_of_any_type() -> None:
    text = """g (float[N,6] x) => (int64[N] i, float[N,6] y) {
        y = Relu(x)
        i = ArgMax<axis=1, keepdims=0>(y)
    }"""
    found = compare(graph(text), graph(text))
    assert [(d.name, d.op_type) for d in found.outputs] == [("i", "ArgMax"), ("y", "Relu")]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            "(float[N,6] z) => (float[N,3] y) { y = MatMul(z, u) }",
            "only the .* has an input '[xz]'",
        ),
        (
            "(float[N,6] x) => (float[N,3] q) { q = MatMul(x, u) }",
            "only the .* has an output '[yq]'",
        ),
        (
            "(float[N,6] x) => (double[N,6] y) { y = Cast<to=11>(x) }",
            "output 'y' is float .* and double",
        ),
        ("(float[N,7] x) => (float[N,3] y) { y = MatMul(x, u7) }", r"input 'x' is float \[N, 6\]"),
        ("(float[M,N,6] x) => (float[N,3] y) { y = ReduceSum<keepdims=0>(x) }", "input 'x'"),
        ("(float[N,6] x, float p) => (float[N,3] y) { y = MatMul(x, u) }", "only the second.*'p'"),
    ],
)
def test_models_that_do_not_go_together(other: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compare(model(), graph(f"g {other}", u=normal(6, 3), u7=normal(7, 3)))


def test_a_fixed_batch_and_a_symbolic_one_go_together() -> None:
    fixed = graph(TEXT.replace("float[N,", "float[2,"), **WEIGHTS)
    assert compare(fixed, model()).outputs[0].max_abs == 0
    assert compare(fixed, model()).samples == 8


def test_json_and_table() -> None:
    found = compare(model(), model(v=np.zeros((5, 3), np.float32)))
    facts = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert facts["layers"][0]["sqnr_db"] is None
    assert facts["outputs"][0]["cosine"] is None
    assert facts["a"]["macs"] == 45
    text = shown(found)
    assert "16 samples of random inputs (seed 0)" in text
    assert "equal" in text


def shown(found: Comparison) -> str:
    console = Console(file=StringIO(), width=100)
    console.print(found)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_real_exports_of_one_network(shared: Path) -> None:
    folded, plain = (
        Model.load(shared / f"models/cifar10_resnet20/{name}.onnx")
        for name in ("resnet20", "resnet20_bn")
    )
    found = compare(folded, plain)
    assert found.outputs[0].max_abs < 1e-4
    relu = [d for d in found.layers if d.op_type == "Relu"]
    assert len(relu) == 19
    assert all(d.relative_l2 is not None and d.relative_l2 < 1e-5 for d in relu)
