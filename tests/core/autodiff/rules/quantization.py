from __future__ import annotations

from typing import Any

import numpy as np

from tests.core.autodiff.cases import case, positive

# The output of QuantizeLinear is none of floats: see test_quantization.
levels = np.random.default_rng(0).integers(-9, 9, (2, 3, 5))


def blocks(scale: Any, axis: int, size: int, block: int) -> Any:
    return scale.repeat_interleave(block, axis).narrow(axis, 0, size)


for kind in (np.int8, np.int32):
    q, plain = levels.astype(kind), kind is np.int32
    zero = np.array(0 if plain else 3, kind)
    name = np.dtype(kind).name
    case("DequantizeLinear", q, positive(), torch=lambda q, s: q * s, note=f"{name}")
    case("DequantizeLinear", q, positive(1), zero.reshape(1), note=f"{name} zero point",
         torch=lambda q, s, z: (q.double() - z.double()) * s)  # fmt: skip
    case("DequantizeLinear", q, positive(3), torch=lambda q, s: q * s[:, None],
         note=f"{name} axis")  # fmt: skip
zeros = np.array([1, -2, 3], np.int8)
q = levels.astype(np.int8)
case("DequantizeLinear", q, positive(3), zeros, axis=-2, note="zero points by axis",
     torch=lambda q, s, z: (q.double() - z.double()[:, None]) * s[:, None])  # fmt: skip
case("DequantizeLinear", q, positive(2, 3, 3), axis=2, block_size=2, note="blocks, one not full",
     torch=lambda q, s: q * blocks(s, 2, 5, 2))  # fmt: skip
case("DequantizeLinear", q, positive(2, 1, 5), q[:, :1], axis=1, block_size=3,
     note="blocks with zero points",
     torch=lambda q, s, z: (q - blocks(z, 1, 3, 3)) * blocks(s, 1, 3, 3))  # fmt: skip
