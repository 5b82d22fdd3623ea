from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.core.autodiff.cases import case, normal

Q, K, V = normal(2, 4, 3, 6), normal(2, 4, 5, 6, seed=1), normal(2, 4, 5, 7, seed=2)
SHARED = normal(2, 2, 5, 6, seed=1), normal(2, 2, 5, 7, seed=2)
FLAT = normal(2, 3, 24), normal(2, 5, 12, seed=1), normal(2, 5, 14, seed=2)
SEEN = np.array([[1, 1, 0, 0, 1], [1, 1, 1, 1, 1], [0, 1, 0, 1, 0]], bool)
NONE_SEEN = np.array([[1, 1, 0, 0, 1], [0, 0, 0, 0, 0], [0, 1, 0, 1, 0]], bool)


def attention(note: str, *inputs: Any, of: int = 0, **attributes: Any) -> None:
    """Register a case, and its equal in PyTorch."""

    def by_torch(*xs: Any) -> Any:
        q, k, v, mask = (*xs, None)[:4]
        if heads := attributes.get("q_num_heads"):
            q = q.unflatten(2, (heads, -1)).transpose(1, 2)
            shared = (attributes["kv_num_heads"], -1)
            k, v = (x.unflatten(2, shared).transpose(1, 2) for x in (k, v))
        group = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        raw = q @ k.transpose(2, 3) * (attributes.get("scale") or q.shape[-1] ** -0.5)
        cap = attributes.get("softcap")
        capped = cap * torch.tanh(raw / cap) if cap else raw
        masked = capped + _bias(raw, mask, attributes.get("is_causal"))
        weights = masked.softmax(-1)
        y = weights @ v
        y = y.transpose(1, 2).flatten(2) if heads else y
        last = (raw, capped, masked, weights)[attributes.get("qk_matmul_output_mode", 0)]
        return last if of else y

    # Where the width is a symbol, shape inference of ONNX finds a size of 0 for some outputs.
    dynamic = "q_num_heads" not in attributes and of < 3
    case(
        "Attention", *inputs, opset=23, note=note, of=of, outputs=of + 1, dynamic=dynamic,
        torch=by_torch, **attributes,
    )  # fmt: skip


def _bias(scores: Any, mask: Any, causal: Any) -> Any:
    bias = torch.zeros((), dtype=scores.dtype)
    if mask is not None:
        bias = mask if mask.is_floating_point() else torch.where(mask, 0.0, -torch.inf).double()
    if causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        bias = bias + torch.where(seen, 0.0, -torch.inf).double()
    return bias


attention("4-D", Q, K, V)
attention("scale", Q, K, V, scale=0.7)
attention("shared keys", Q, *SHARED)
attention("3-D", *FLAT, q_num_heads=4, kv_num_heads=2)
attention("3-D, one key each", FLAT[0], FLAT[0] + 1, FLAT[0] * 2, q_num_heads=4, kv_num_heads=4)
attention("mask", Q, *SHARED, normal(3, 5))
attention("mask per batch", Q, *SHARED, normal(2, 1, 3, 5))
attention("mask per head", *FLAT, normal(4, 3, 5), q_num_heads=4, kv_num_heads=2)
attention("places", Q, K, V, SEEN)
case("Attention", Q, *SHARED, NONE_SEEN, opset=23, note="no place at all")
attention("causal", Q, K, V, is_causal=1)
attention("causal, mask, cap", Q, *SHARED, normal(3, 5), is_causal=1, softcap=1.5, scale=0.7)
attention("cap, 3-D", *FLAT, q_num_heads=4, kv_num_heads=2, softcap=1.5)
for mode, name in enumerate(("products", "capped", "masked", "weights")):
    attention(name, Q, *SHARED, normal(3, 5), of=3, qk_matmul_output_mode=mode, softcap=1.5)
LENGTHS = np.array([5, 3])
case(
    "Attention", Q, *SHARED, normal(3, 5), None, None, LENGTHS, opset=24, note="padded",
    is_causal=1,
)  # fmt: skip
