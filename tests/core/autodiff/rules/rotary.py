from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.core.autodiff.cases import case, normal

PLACES = np.array([[4, 0, 4], [1, 2, 3]])


def rotary(
    note: str, *, heads: int = 0, width: int = 6, interleaved: int = 0, places: bool = True
) -> None:
    """Register a case with 2 heads of 6 channels, the first `width` of which are turned."""
    x = normal(2, 3, 12) if heads else normal(2, 2, 3, 6)
    caches = [normal(*((5,) if places else (2, 3)), width // 2, seed=seed) for seed in (1, 2)]
    attributes = {"rotary_embedding_dim": width} if width < 6 else {}

    def by_torch(x: Any, cos: Any, sin: Any, places: Any = None) -> Any:
        split = x.reshape(2, 3, 2, 6).transpose(1, 2) if heads else x
        cos, sin = (c[places] if places is not None else c for c in (cos, sin))
        cos, sin = cos[:, None], sin[:, None]
        turned, rest = split[..., :width], split[..., width:]
        if interleaved:
            a, b = turned[..., ::2], turned[..., 1::2]
        else:
            a, b = turned.chunk(2, -1)
        pair = [cos * a - sin * b, sin * a + cos * b]
        turned = torch.stack(pair, -1).flatten(-2) if interleaved else torch.cat(pair, -1)
        y = torch.cat([turned, rest], -1)
        return y.transpose(1, 2).reshape(2, 3, 12) if heads else y

    case(
        "RotaryEmbedding", x, *caches, *([PLACES] if places else []), opset=23, note=note,
        torch=by_torch, interleaved=interleaved, num_heads=heads, **attributes,
    )  # fmt: skip


rotary("4-D")
rotary("3-D", heads=2)
rotary("interleaved", interleaved=1)
rotary("interleaved 3-D", heads=2, interleaved=1)
rotary("partial", heads=2, width=4)
rotary("partial interleaved", width=4, interleaved=1)
rotary("angles per position", places=False)
rotary("angles per position 3-D", heads=2, interleaved=1, places=False)
