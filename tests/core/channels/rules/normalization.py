from __future__ import annotations

from tests.core.channels.cases import case, normal, positive

BATCH = {0: {0: "N"}}
ALL = "x0.0 x0.1 x0.2 x1.0 x2.0 y0.0 y0.1 y0.2"
IMAGE = {0: {0: "N", 2: "H", 3: "W"}}

for stored in ([1, 2, 3, 4], []):
    case("BatchNormalization", normal(2, 4, 3), positive(4), normal(4), normal(4, seed=1),
         positive(4, seed=1), stored=stored, note=f"stored {stored}", sizes=[2, 3, 4],
         free="x0.0 x0.1 x0.2 x1.0 x2.0 x3.0 x4.0 y0.0 y0.1 y0.2", dynamic=BATCH)  # fmt: skip
case("BatchNormalization", normal(5, 4), positive(4), normal(4), normal(4, seed=1),
     positive(4, seed=1), stored=[1, 2, 3, 4], note="matrix", sizes=[4, 5],
     free="x0.0 x0.1 x1.0 x2.0 x3.0 x4.0 y0.0 y0.1")  # fmt: skip
case("InstanceNormalization", normal(2, 4, 3, 5), positive(4), normal(4), dynamic=IMAGE,
     free="x0.0 x0.1 x0.2 x0.3 x1.0 x2.0 y0.0 y0.1 y0.2 y0.3", sizes=[2, 3, 4, 5])  # fmt: skip

for stored in ([1, 2], []):
    case("LayerNormalization", normal(2, 3, 6), positive(6), normal(6), stored=stored,
         note=f"stored {stored}", free=ALL, sizes=[2, 3, 6],
         dynamic={0: {0: "N", 1: "T"}})  # fmt: skip
case("LayerNormalization", normal(2, 3, 6), positive(6), note="no bias", stored=[1],
     free="x0.0 x0.1 x0.2 x1.0 y0.0 y0.1 y0.2", sizes=[2, 3, 6])  # fmt: skip
case("LayerNormalization", normal(2, 3, 6), positive(3, 6), normal(3, 6), note="two axes",
     axis=1, stored=[1, 2], sizes=[2, 3, 6],
     free="x0.0 x0.1 x0.2 x1.0 x1.1 x2.0 x2.1 y0.0 y0.1 y0.2")  # fmt: skip
case("LayerNormalization", normal(2, 3, 6), positive(6), normal(6), stored=[1, 2],
     note="statistics", outputs=3, free=f"{ALL} y1.0 y1.1 y2.0 y2.1")  # fmt: skip
case("RMSNormalization", normal(2, 3, 6), positive(6), opset=23, stored=[1],
     free="x0.0 x0.1 x0.2 x1.0 y0.0 y0.1 y0.2", sizes=[2, 3, 6], dynamic=BATCH)  # fmt: skip
case("SimplifiedLayerNormalization", normal(2, 3, 6), positive(6), stored=[1],
     free="x0.0 x0.1 x0.2 x1.0 y0.0 y0.1 y0.2", sizes=[2, 3, 6], dynamic=BATCH)  # fmt: skip

GROUPED = "x0.0 x0.1 x1.0 x2.0 y0.0 y0.1"
for groups, size in [(1, 6), (2, 3), (3, 2), (6, 6)]:
    for stored in ([1, 2], []):
        case("GroupNormalization", normal(4, 6, 3, 5), positive(6), normal(6), stored=stored,
             num_groups=groups, note=f"{groups} groups stored {stored}", free=GROUPED,
             sizes=[*sorted([4, size])], dynamic=IMAGE)  # fmt: skip
case("LpNormalization", normal(2, 3, 6), free="x0.0 x0.1 x0.2 y0.0 y0.1 y0.2", dynamic=BATCH)
case("LpNormalization", normal(2, 3, 6), axis=1, p=1, note="axis 1",
     free="x0.0 x0.1 x0.2 y0.0 y0.1 y0.2")  # fmt: skip
