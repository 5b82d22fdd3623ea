from __future__ import annotations

from tests.core.channels.cases import case, normal

ALL = {0: {0: "N", 2: "T"}, 1: {0: "N", 2: "S"}, 2: {0: "N", 2: "S"}}

case("Attention", normal(2, 4, 3, 6), normal(2, 4, 5, 6), normal(2, 4, 5, 7), opset=23,
     note="4-D", free="x0.1 x0.3 x1.1 x1.3 x2.1 x2.3 y0.1 y0.3", sizes=[4, 6, 7],
     dynamic=ALL, tolerance=1e-4)  # fmt: skip
case("Attention", normal(2, 6, 3, 4), normal(2, 2, 5, 4), normal(2, 2, 5, 7), opset=23,
     note="4-D grouped queries", sizes=[2, 4, 7], tolerance=1e-4,
     free="x0.1 x0.3 x1.1 x1.3 x2.1 x2.3 y0.1 y0.3")  # fmt: skip
FLAT = {0: {0: "N", 1: "T"}, 1: {0: "N", 1: "S"}, 2: {0: "N", 1: "S"}}
for heads in (False, True):
    case("Attention", normal(2, 3, 12), normal(2, 5, 12), normal(2, 5, 20), opset=23,
         q_num_heads=4, kv_num_heads=4, note=f"3-D {'heads' if heads else 'dimensions'}",
         heads=heads, free="x0.2 x1.2 x2.2 y0.2", sizes=[4] if heads else [3, 5],
         dynamic=FLAT, tolerance=1e-4)  # fmt: skip
    case("Attention", normal(2, 3, 18), normal(2, 5, 6), normal(2, 5, 8), opset=23,
         q_num_heads=6, kv_num_heads=2, heads=heads, tolerance=1e-4,
         note=f"3-D grouped queries {'heads' if heads else 'dimensions'}",
         free="x0.2 x1.2 x2.2 y0.2", sizes=[2] if heads else [3, 4])  # fmt: skip
case("Attention", normal(2, 3, 12), normal(2, 5, 12), normal(2, 5, 20), opset=23, scale=0.3,
     q_num_heads=4, kv_num_heads=4, note="scale", free="x0.2 x1.2 x2.2 y0.2", sizes=[3, 5],
     tolerance=1e-4)  # fmt: skip
