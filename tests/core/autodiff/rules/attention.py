from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.core.autodiff.cases import case, normal

Q, K, V = normal(2, 4, 3, 6), normal(2, 4, 5, 6, seed=1), normal(2, 4, 5, 7, seed=2)
SHARED = normal(2, 2, 5, 6, seed=1), normal(2, 2, 5, 7, seed=2)
FLAT = normal(2, 3, 24), normal(2, 5, 12, seed=1), normal(2, 5, 14, seed=2)
PAST = normal(2, 2, 2, 6, seed=3), normal(2, 2, 2, 7, seed=4)
SEEN = np.array([[1, 1, 0, 0, 1], [1, 1, 1, 1, 1], [0, 1, 0, 1, 0]], bool)
NONE_SEEN = np.array([[1, 1, 0, 0, 1], [0, 0, 0, 0, 0], [0, 1, 0, 1, 0]], bool)


def attention(note: str, *inputs: Any, of: int = 0, **attributes: Any) -> None:
    """Register a case, and its equal in PyTorch."""

    def by_torch(*xs: Any) -> Any:
        q, k, v, mask, past_k, past_v = (*xs, *[None] * (6 - len(xs)))
        if heads := attributes.get("q_num_heads"):
            q, k, v = (
                x.unflatten(2, (n, -1)).transpose(1, 2)
                for x, n in (
                    (q, heads),
                    (k, attributes["kv_num_heads"]),
                    (v, attributes["kv_num_heads"]),
                )
            )
        if past_k is not None:
            k, v = torch.cat([past_k, k], 2), torch.cat([past_v, v], 2)
        present = k, v
        group = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        raw = q @ k.transpose(2, 3) * (attributes.get("scale") or q.shape[-1] ** -0.5)
        cap = attributes.get("softcap")
        capped = cap * torch.tanh(raw / cap) if cap else raw
        masked = capped + _bias(
            raw, mask, attributes.get("is_causal"), k.shape[2] - xs[1].shape[-2]
        )
        weights = torch.nan_to_num(masked.softmax(-1))
        y = weights @ v
        y = y.transpose(1, 2).flatten(2) if heads else y
        last = (raw, capped, masked, weights)[attributes.get("qk_matmul_output_mode", 0)]
        return (y, *present, last)[of]

    case(
        "Attention", *inputs, opset=23, note=note, of=of, outputs=max(3 if len(inputs) > 4 else 1, of + 1),
        torch=by_torch, **attributes,
    )  # fmt: skip


def _bias(scores: Any, mask: Any, causal: Any, past: int) -> Any:
    bias = torch.zeros((), dtype=scores.dtype)
    if mask is not None:
        bias = mask if mask.is_floating_point() else torch.where(mask, 0.0, -torch.inf).double()
    if causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool).tril(past)
        bias = bias + torch.where(seen, 0.0, -torch.inf).double()
    return bias


attention("4-D", Q, K, V)
attention("scale", Q, K, V, scale=0.7)
attention("shared keys", Q, *SHARED)
attention("3-D", *FLAT, q_num_heads=4, kv_num_heads=2)
attention(
    "3-D, one key each", FLAT[0], FLAT[0][:, ::-1], FLAT[0] * 0.5, q_num_heads=4, kv_num_heads=4
)
attention("mask", Q, *SHARED, normal(3, 5))
attention("mask per batch", Q, *SHARED, normal(2, 1, 3, 5))
attention("mask per head", *FLAT, normal(4, 3, 5), q_num_heads=4, kv_num_heads=2)
attention("places", Q, K, V, SEEN)
attention("no place at all", Q, *SHARED, NONE_SEEN)
attention("causal", Q, K, V, is_causal=1)
attention("causal, mask, cap", Q, *SHARED, normal(3, 5), is_causal=1, softcap=1.5, scale=0.7)
attention("cap, 3-D", *FLAT, q_num_heads=4, kv_num_heads=2, softcap=1.5)
attention("past", Q, *SHARED, None, *PAST)
attention("past, mask", Q, *SHARED, normal(3, 7), *PAST)
attention("past, 3-D", *FLAT, None, *PAST, q_num_heads=4, kv_num_heads=2)
attention("keys with past", Q, *SHARED, None, *PAST, of=1)
attention("values with past, 3-D", *FLAT, None, *PAST, of=2, q_num_heads=4, kv_num_heads=2)
for mode, name in enumerate(("products", "capped", "masked", "weights")):
    attention(name, Q, *SHARED, normal(3, 5), of=3, qk_matmul_output_mode=mode, softcap=1.5)
case("Attention", Q, *SHARED, normal(3, 4), None, None, np.array([4, 2]), opset=24, note="padded")
case(
    "Attention",
    Q,
    *SHARED,
    None,
    None,
    None,
    np.array([4, 3]),
    opset=24,
    is_causal=1,
    note="padded, causal",
)
