from __future__ import annotations

from itertools import product
from typing import Any

import torch
from onnx.parser import parse_graph

from tests.core.autodiff.cases import case, normal

BODY = parse_graph("""body (float[3] s, float[2] t, float[3] a, float[2] b)
    => (float[3] s2, float[2] t2, float[3] o, float[2] p) {
        m = Mul(s, a)
        n = Mul(m, x4)
        s2 = Tanh(n)
        k = ReduceSum<keepdims = 0>(s)
        q = Mul(b, k)
        t2 = Add(t, q)
        o = Add(s2, a)
        p = Mul(t, b)
    }""")


def scan(ways: dict[str, Any], s: Any, t: Any, a: Any, b: Any, w: Any) -> list[Any]:
    """Run the body, with `a` and `b` read and `o` and `p` written as the attributes say."""
    streams = [
        x.unbind(axis)[:: -1 if r else 1]
        for x, axis, r in zip((a, b), ways["axes"], ways["back"], strict=True)
    ]
    written: list[list[Any]] = [[], []]
    for a_t, b_t in zip(*streams, strict=True):
        before, s = s, torch.tanh(s * a_t * w)
        written[0].append(s + a_t)
        written[1].append(t * b_t)
        t = t + b_t * before.sum()
    stacked = [
        torch.stack(o[:: -1 if r else 1], axis)
        for o, axis, r in zip(written, ways["out_axes"], ways["out_back"], strict=True)
    ]
    return [s, t, *stacked]


PLAIN = {"axes": (0, 0), "back": (0, 0), "out_axes": (0, 0), "out_back": (0, 0)}
OTHER = {"axes": (1, -1), "back": (1, 0), "out_axes": (1, -1), "out_back": (0, 1)}
for (kind, ways), of in product({"plain": PLAIN, "other axes": OTHER}.items(), range(4)):
    case(
        "Scan", normal(3), normal(2),
        normal(4, 3) if ways is PLAIN else normal(3, 4),
        normal(4, 2) if ways is PLAIN else normal(2, 4),
        normal(3, seed=1),
        body=BODY, num_scan_inputs=2, captured=1, outputs=4, of=of, note=f"{kind}, output {of}",
        torch=lambda *x, ways=ways, of=of: scan(ways, *x)[of],
        **{} if ways is PLAIN else {
            "scan_input_axes": OTHER["axes"], "scan_input_directions": OTHER["back"],
            "scan_output_axes": OTHER["out_axes"], "scan_output_directions": OTHER["out_back"],
        },
    )  # fmt: skip
case(
    "Scan", normal(4, 2), normal(2),
    body=parse_graph("map (float[2] a) => (float[2] o) { m = Mul(a, x1) o = Exp(m) }"),
    num_scan_inputs=1, captured=1, note="no state",
    torch=lambda a, w: torch.exp(a * w),
)  # fmt: skip
case(
    "Scan", normal(2), normal(4, 2),
    body=parse_graph("sum (float[2] s, float[2] a) => (float[2] s2) { s2 = Add(s, a) }"),
    num_scan_inputs=1, note="sum", torch=lambda s, a: s + a.sum(0),
)  # fmt: skip
