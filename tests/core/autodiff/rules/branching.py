from __future__ import annotations

import numpy as np
import torch
from onnx import GraphProto
from onnx.parser import parse_graph

from tests.core.autodiff.cases import case, normal, positive


def branch(text: str) -> GraphProto:
    return parse_graph(text)


PRODUCT = branch("product () => (float[2, 3] p) { t = Tanh(x1) p = Mul(t, x2) }")
SUM = branch("sum () => (float[2, 3] s) { s = Add(x2, x2) }")
for truth in (True, False):
    case(
        "If", np.array(truth), normal(2, 3), normal(2, 3, seed=1),
        then_branch=PRODUCT, else_branch=SUM, captured=2, note=f"{truth}",
        torch=lambda c, a, b: torch.tanh(a) * b if c else b + b + 0 * a,
    )  # fmt: skip
    case(
        "If", np.array(truth), normal(2, 3),
        then_branch=branch("outer () => (float[2, 3] o) { o = Identity(x1) }"),
        else_branch=branch("""inner () => (float[2, 3] i)
            <float[3] w = {1.5, -2, 0.5}> {
                k = Constant<value = float {3}>()
                u = Mul(x1, w)
                i = Mul(u, k)
            }"""),
        captured=1, note=f"{truth}, stored in a branch",
        torch=lambda c, a: a if c else a * torch.tensor([4.5, -6, 1.5]),
    )  # fmt: skip
    case(
        "If", np.array(truth), normal(2, 3),
        then_branch=branch("wide () => (float[2, 3] o) { o = Mul(x1, x1) }"),
        else_branch=branch("""narrow () => (float[2] i) {
            axes = Constant<value = int64[1] {1}>()
            i = ReduceSum<keepdims = 0>(x1, axes)
        }"""),
        captured=1, note=f"{truth}, ranks differ",
        torch=lambda c, a: a * a if c else a.sum(1),
    )  # fmt: skip
    case(
        "If", np.array(truth), normal(3), positive(3),
        then_branch=branch("""nest () => (float[3] o) {
            inner = Exp(x1)
            zero = Constant<value = float {0}>()
            total = ReduceSum<keepdims = 0>(x2)
            more = Greater(total, zero)
            o = If(more) <
                then_branch = deep () => (float[3] d) { t = Mul(inner, x2) d = Mul(t, x1) },
                else_branch = flat () => (float[3] f) { f = Identity(x1) }
            >
        }"""),
        else_branch=branch("two () => (float[3] q) { q = Div(x1, x2) }"),
        captured=2, note=f"{truth}, nested",
        torch=lambda c, a, b: torch.exp(a) * b * a if c else a / b,
    )  # fmt: skip
    case(
        "If", np.array(truth), normal(2, 3),
        then_branch=branch("p () => (float[2, 3] a, float[2, 3] b) { a = Exp(x1) b = Mul(a, a) }"),
        else_branch=branch("q () => (float[2, 3] e, float[2, 3] d) { e = Sin(x1) d = Neg(e) }"),
        captured=1, outputs=2, of=1, note=f"{truth}, second output",
        torch=lambda c, a: torch.exp(2 * a) if c else -torch.sin(a),
    )  # fmt: skip
