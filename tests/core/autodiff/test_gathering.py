"""What exporters write out becomes one operator, where that changes nothing else."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from onnxpress.autodiff import gradient, gradient_name
from onnxpress.autodiff.gathering import gather
from onnxpress.autodiff.prepare import annotate
from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from onnxpress.graph.protos import to_proto
from tests.graphs import graph, normal

NUMBERS = {
    "half": 0.5, "one": 1.0, "two": 2.0, "three": 3.0, "root": 1.4142135, "inv": 0.70710677,
    "scale": 0.7978846, "cube": 0.044715, "eps": 1e-5, "minus_half": -0.5,
}  # fmt: skip
AXES = {"last": -1, "front": 0}

PYTORCH = "d = Div(x, root) e = Erf(d) a = Add(e, one) m = Mul(x, a) y = Mul(m, half)"
TENSORFLOW = "d = Div(x, root) e = Erf(d) a = Add(one, e) m = Mul(half, a) y = Mul(m, x)"
HUGGING_FACE = "h = Mul(x, half) d = Mul(x, inv) e = Erf(d) a = Add(e, one) y = Mul(h, a)"
DYNAMO = "d = Div(x, root) e = Erf(d) a = Add(e, one) m = Mul(x, a) y = Mul(half, m)"
HALVED = "d = Div(x, root) e = Erf(d) a = Add(e, one) m = Mul(x, a) y = Div(m, two)"
GELUS = {
    "PyTorch": PYTORCH,
    "TensorFlow": TENSORFLOW,
    "Hugging Face": HUGGING_FACE,
    "dynamo": DYNAMO,
    "halved": HALVED,
}

PYTORCH_TANH = """
    c = Pow(x, three) p = Mul(c, cube) s = Add(x, p) i = Mul(s, scale)
    t = Tanh(i) a = Add(t, one) h = Mul(x, half) y = Mul(h, a)"""
DYNAMO_TANH = """
    q = Mul(x, x) c = Mul(q, x) p = Mul(cube, c) s = Add(x, p) i = Mul(scale, s)
    t = Tanh(i) a = Add(t, one) h = Mul(half, x) y = Mul(h, a)"""
TENSORFLOW_TANH = """
    c = Pow(x, three) p = Mul(cube, c) s = Add(p, x) i = Mul(scale, s)
    t = Tanh(i) a = Add(one, t) h = Mul(half, a) y = Mul(x, h)"""
FAST = """
    k = Mul(x, cube) q = Mul(k, x) s = Add(q, one) r = Mul(x, scale) i = Mul(r, s)
    t = Tanh(i) a = Add(t, one) h = Mul(x, half) y = Mul(h, a)"""
TANHS = {
    "PyTorch": PYTORCH_TANH,
    "dynamo": DYNAMO_TANH,
    "TensorFlow": TENSORFLOW_TANH,
    "fast": FAST,
}

NORM = """
    u = ReduceMean<keepdims=1>(x, last) d = Sub(x, u) q = Pow(d, two)
    v = ReduceMean<keepdims=1>(q, last) w = Add(v, eps) r = Sqrt(w) n = Div(d, r)
    g = Mul(n, gamma) y = Add(g, beta)"""
NORMS = {
    "PyTorch": NORM,
    "squared": NORM.replace("Pow(d, two)", "Mul(d, d)"),
    "reciprocal": NORM.replace("n = Div(d, r)", "z = Reciprocal(r) n = Mul(d, z)"),
    "scaled first": NORM.replace("n = Div(d, r)", "n = Div(gamma, r)").replace(
        "Mul(n, gamma)", "Mul(d, n)"
    ),
    "power": NORM.replace("r = Sqrt(w) n = Div(d, r)", "r = Pow(w, minus_half) n = Mul(d, r)"),
    "bias first": NORM.replace("Add(g, beta)", "Add(beta, g)"),
    "no bias": NORM.replace("g = Mul(n, gamma) y = Add(g, beta)", "y = Mul(gamma, n)"),
}


def written_out(body: str, kind: str = "float", more: str = "", **tensors: Array) -> Model:
    """Return a model of one written-out operator; its numbers have the type of `x`."""
    dtype = {"float": np.float32, "float16": np.float16, "double": np.float64}[kind]
    floats = {**NUMBERS, "gamma": normal(8, seed=1), "beta": normal(8, seed=2), **tensors}
    stored = {name: tensor(name, np.asarray(v, dtype)) for name, v in floats.items()}
    stored.update({name: tensor(name, np.array([axis])) for name, axis in AXES.items()})
    read = set(re.findall(r"\w+", body))
    text = f"g ({kind}[N,3,8] x) => ({kind}[N,3,8] y{more}) {{ {body} }}"
    return graph(text, **{name: v for name, v in stored.items() if name in read})


def tensor(name: str, array: Array) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(array, name)


def gathered(model: Model, kept: Collection[str] = ()) -> Model:
    edit = model.edit()
    annotate(edit.ir)
    values = {v for node in edit.ir.graph for v in node.outputs if v.name in kept}
    gather(edit.ir, values)
    return edit.done()


def operators(model: Model) -> list[str]:
    return [node.op_type for g in model.ir.graphs() for node in g if node.op_type != "Constant"]


def check_the_same(model: Model, wrt: list[str]) -> Model:
    """Check results, and gradients weighted at random, before and after; return the latter."""
    after = gathered(model)
    after.check()
    feeds = {"x": normal(2, 3, 8, seed=3) * 2, "weights": normal(2, 3, 8, seed=4)}
    old = gradient(model, {"y": "weights"}, wrt).run(feeds)
    new = gradient(after, {"y": "weights"}, wrt).run(feeds)
    assert old.keys() == new.keys()
    for name, array in old.items():
        np.testing.assert_allclose(new[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
    return after


@pytest.mark.parametrize("form", GELUS)
def test_gelu_by_erf(form: str) -> None:
    after = check_the_same(written_out(GELUS[form]), ["x"])
    assert operators(after) == ["Gelu"]
    check_gelu(after, "none")


@pytest.mark.parametrize("form", TANHS)
def test_gelu_by_tanh(form: str) -> None:
    after = check_the_same(written_out(TANHS[form]), ["x"])
    assert operators(after) == ["Gelu"]
    check_gelu(after, "tanh")


def check_gelu(model: Model, approximate: str) -> None:
    """Compare value and gradient with PyTorch's in double precision."""
    x = torch.tensor(normal(2, 3, 8, seed=3) * 2, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.gelu(x, approximate=approximate)
    torch.autograd.backward(y.sum())
    assert x.grad is not None
    feeds = {"x": x.detach().numpy().astype(np.float32)}
    found = gradient(model, "y", "x").run(feeds)
    np.testing.assert_allclose(found["y"], y.detach(), atol=1e-6)
    np.testing.assert_allclose(found[gradient_name("x")], x.grad, atol=5e-6)


@pytest.mark.parametrize("form", NORMS)
def test_layer_normalization(form: str) -> None:
    wrt = ["x", "gamma"] if form == "no bias" else ["x", "gamma", "beta"]
    after = check_the_same(written_out(NORMS[form]), wrt)
    assert operators(after) == ["LayerNormalization"]
    assert after.ir.graph[0].attributes.get_float("epsilon") == pytest.approx(1e-5)


def test_normalization_over_several_axes() -> None:
    proto = to_proto(written_out(NORM, gamma=normal(3, 8), beta=normal(3, 8)).ir)
    axes = next(t for t in proto.graph.initializer if t.name == "last")
    axes.CopyFrom(tensor("last", np.array([2, -2])))
    after = check_the_same(Model.from_proto(proto), ["x", "gamma", "beta"])
    assert operators(after) == ["LayerNormalization"]
    assert after.ir.graph[0].attributes.get_int("axis") == -2


STAYS = {
    "another half": written_out(PYTORCH, half=np.array(0.51)),
    "a coarse root": written_out(PYTORCH, root=np.array(1.4142)),
    "not plus one": written_out(PYTORCH, one=np.array(0.99)),
    "another function": written_out(PYTORCH.replace("Erf", "Tanh")),
    "of something else": written_out(f"o = Neg(x) {PYTORCH.replace('Div(x', 'Div(o')}"),
    "another cube": written_out(PYTORCH_TANH, cube=np.array(0.0447)),
    "another power": written_out(PYTORCH_TANH, three=np.array(2.0)),
    "half precision": written_out(PYTORCH, "float16"),
    "double precision": written_out(PYTORCH, "double"),
    "a constant of several numbers": written_out(PYTORCH, half=np.full(8, 0.5)),
    "a constant with more axes": written_out(
        PYTORCH.replace("y =", "z =") + " y = Squeeze(z, front)",
        half=np.full((1, 1, 1, 1), 0.5),
    ),
    "an inner output": written_out(PYTORCH, more=", float[N,3,8] e"),
    "read elsewhere": written_out(
        PYTORCH + " z = Neg(a)", more=", float[N,3,8] z"
    ),
    "read in a body": written_out(
        f"""yes = Constant<value_int = 1>() c = Cast<to=9>(yes) {PYTORCH}
        z = If(c) <
            then_branch = t () => (zt) {{ zt = Neg(e) }},
            else_branch = f () => (zf) {{ zf = Neg(x) }}
        >""",
        more=", float[N,3,8] z",
    ),
    "an input for a constant": graph(
        f"g (float[N,3,8] x, float half) => (float[N,3,8] y) {{ {PYTORCH} }}",
        root=np.float32(1.4142135),
        one=np.float32(1),
    ),
    "a mean over all axes": written_out(
        NORM.replace("<keepdims=1>(x, last)", "<keepdims=1>(x)")
    ),
    "axes that are not the last": written_out(NORM.replace("last)", "front)")),
    "a scale for other axes": written_out(NORM, gamma=normal(3, 1)),
    "a scale that repeats": written_out(NORM, gamma=normal(1)),
    "no ε": written_out(NORM, eps=np.array(0.0)),
    "a cube of deviations": written_out(NORM, two=np.array(3.0)),
    "another mean": written_out(f"o = Neg(x) {NORM.replace('(x, last)', '(o, last)')}"),
    "deviations read elsewhere": written_out(NORM + " z = Neg(d)", more=", float[N,3,8] z"),
    "the mean is an output": written_out(NORM, more=", float[N,3,1] u"),
}  # fmt: skip


@pytest.mark.parametrize("case", STAYS)
def test_what_differs_stays(case: str) -> None:
    before = operators(STAYS[case])
    after = operators(gathered(STAYS[case]))
    assert after == before


@pytest.mark.parametrize("kept", ["d", "e", "a", "m", "y"])
def test_what_is_needed_stays(kept: str) -> None:
    model = written_out(PYTORCH)
    assert operators(gathered(model, {kept})) == operators(model)


def test_older_operator_sets_have_no_such_operator() -> None:
    edit = written_out(PYTORCH).edit()
    annotate(edit.ir)
    edit.ir.graph.opset_imports[""] = 19
    assert not gather(edit.ir)


def test_a_long_product_is_no_trouble() -> None:
    body = " ".join(f"h{i + 1} = Mul(h{i}, half)" for i in range(3000))
    model = written_out(f"h0 = Neg(x) {body} y = Neg(h3000)")
    assert operators(gathered(model)) == operators(model)


def test_bodies_are_gathered_too() -> None:
    model = written_out(
        f"""yes = Constant<value_int = 1>() c = Cast<to=9>(yes)
        y = If(c) <
            then_branch = t () => (yt) {{ {PYTORCH.replace("y = ", "yt = ")} }},
            else_branch = f () => (yf) {{ yf = Neg(x) }}
        >"""
    )
    after = gathered(model)
    assert sorted(operators(after)) == ["Cast", "Gelu", "If", "Neg"]
    feeds = {"x": normal(2, 3, 8)}
    np.testing.assert_allclose(after.run(feeds)["y"], model.run(feeds)["y"], atol=1e-6)


class Block(torch.nn.Module):
    """What a transformer is made of."""

    def __init__(self, approximate: str) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(8)
        self.gelu = torch.nn.GELU(approximate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = x + self.gelu(self.norm(x))
        return result


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_as_pytorch_exports_it(approximate: str, *, dynamo: bool, tmp_path: Path) -> None:
    """Opset 14 has neither operator, 18 no Gelu."""
    file = tmp_path / "block.onnx"
    block = Block(approximate).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            block, (torch.zeros(2, 3, 8),), file, opset_version=18 if dynamo else 14,
            input_names=["x"], output_names=["y"], dynamo=dynamo,
        )  # fmt: skip
    model = Model.from_proto(onnx.load(file))
    after = check_the_same(model, ["x"])
    assert sorted(operators(after)) == ["Add", "Gelu", "LayerNormalization"]
