from __future__ import annotations

import numpy as np

from tests.core.channels.cases import case, normal, positive

INT8 = np.arange(-12, 12, dtype=np.int8).reshape(4, 6)
BATCH = {0: {0: "N"}}

case("QuantizeLinear", normal(4, 6), positive(), np.int8(3), stored=[1, 2],
     free="x0.0 x0.1 y0.0 y0.1", sizes=[4, 6], dynamic=BATCH)  # fmt: skip
case("QuantizeLinear", normal(4, 6), positive(6), np.zeros(6, np.int8), stored=[1, 2], axis=1,
     domain="com.microsoft", type=np.int8, free="x0.0 x0.1 x1.0 x2.0 y0.0 y0.1",
     sizes=[4, 6])  # fmt: skip
for axis, size, place in [(0, 4, "x1.0 x2.0"), (1, 6, "x1.0 x2.0"), (-1, 6, "x1.0 x2.0")]:
    case("QuantizeLinear", normal(4, 6), positive(size), np.arange(size, dtype=np.int8), axis=axis,
         stored=[1, 2], note=f"axis {axis}", free=f"x0.0 x0.1 {place} y0.0 y0.1",
         sizes=[4, 6])  # fmt: skip
    case("DequantizeLinear", INT8, positive(size), np.arange(size, dtype=np.int8), axis=axis,
         stored=[0, 2], note=f"axis {axis}", free=f"x0.0 x0.1 {place} y0.0 y0.1",
         sizes=[4, 6])  # fmt: skip
case("QuantizeLinear", normal(4, 6), positive(4, 3), block_size=2, axis=1, stored=[1],
     note="blocked", free="x0.0 x1.0 y0.0", sizes=[4])  # fmt: skip
case("DequantizeLinear", INT8, positive(2, 6), block_size=2, axis=0, stored=[0],
     note="blocked", free="x0.1 x1.1 y0.1", sizes=[6])  # fmt: skip
case("DequantizeLinear", INT8, positive(), np.int8(0), stored=[0, 2], note="one scale",
     free="x0.0 x0.1 y0.0 y0.1", sizes=[4, 6])  # fmt: skip
case("DequantizeLinear", INT8, positive(6), domain="com.microsoft", stored=[0], note="axis",
     axis=1, free="x0.0 x0.1 x1.0 y0.0 y0.1", sizes=[4, 6])  # fmt: skip
case("DynamicQuantizeLinear", normal(4, 6), outputs=3, free="x0.0 x0.1 y0.0 y0.1", sizes=[4, 6])
