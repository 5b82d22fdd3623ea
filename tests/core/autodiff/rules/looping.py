from __future__ import annotations

import numpy as np
import torch
from onnx.parser import parse_graph

from tests.core.autodiff.cases import case, normal

# Two states, one of which the other reads; a captured weight; a scan output.
RECURRENCE = parse_graph("""body (int64 i, bool go, float[3] s, float[3] t)
    => (bool on, float[3] s2, float[3] t2, float[3] o) {
        on = Identity(go)
        a = Mul(s, x4)
        s2 = Tanh(a)
        t2 = Add(t, s2)
        o = Mul(s2, t)
    }""")


def recurrence(n: torch.Tensor, *args: torch.Tensor) -> list[torch.Tensor]:
    s, t, w = args[-3:]
    outputs = []
    for _ in range(int(n)):
        s, before = torch.tanh(s * w), t
        t = t + s
        outputs.append(s * before)
    return [s, t, torch.stack(outputs) if outputs else torch.zeros(0, 3)]


for count in (3, 1, 0):
    for of in (0, 1, 2) if count else (0, 1):
        case(
            "Loop", np.array(count), np.array(1, bool),
            normal(3), normal(3, seed=1), normal(3, seed=2),
            body=RECURRENCE, captured=1, outputs=3, of=of, note=f"{count} times, output {of}",
            torch=lambda n, _, s, t, w, of=of: recurrence(n, s, t, w)[of],
        )  # fmt: skip
case(
    "Loop", np.array(4), None, normal(2, 2), normal(2, 2, seed=1),
    body=parse_graph("""body (int64 i, bool go, float[2, 2] s) => (bool on, float[2, 2] s2) {
        on = Identity(go)
        f = Cast<to = 1>(i)
        m = Mul(s, x3)
        p = Mul(m, s)
        q = Mul(p, f)
        s2 = Add(q, s)
    }"""),
    captured=1, step=1e-3, note="counts",
    torch=lambda n, _, s, w: [s := s * w * s * i + s for i in range(int(n))][-1],
)  # fmt: skip
# Ends by its condition, whatever the trip count; `limit` is no float that a gradient goes to.
case(
    "Loop", None, np.array(1, bool), normal(2) / 4 + 1.5, normal(2, seed=1),
    body=parse_graph("""body (int64 i, bool go, float[2] s) => (bool on, float[2] s2, float[2] o) {
        s2 = Mul(s, s)
        o = Mul(s, x3)
        limit = Constant<value = float {5}>()
        total = ReduceSum<keepdims = 0>(s2)
        on = Less(total, limit)
    }"""),
    captured=1, outputs=2, of=1, step=1e-3, note="until",
)  # fmt: skip
# A state that hands on integers, one of no use, and one that only copies what it reads.
case(
    "Loop", np.array(3), None, np.array(1), normal(2), normal(2, seed=1), normal(2, seed=2),
    body=parse_graph("""body (int64 i, bool go, int64 k, float[2] u, float[2] s)
        => (bool on, int64 k2, float[2] u2, float[2] s2, float[2] o) {
            on = Identity(go)
            k2 = Add(k, k)
            u2 = Identity(x5)
            f = Cast<to = 1>(k)
            s2 = Mul(s, f)
            o = Mul(s2, u)
        }"""),
    captured=1, outputs=4, of=3, stored=(0, 2), note="integers",
)  # fmt: skip
