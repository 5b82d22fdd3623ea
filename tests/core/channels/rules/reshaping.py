from __future__ import annotations

from tests.core.channels.cases import case, normal, whole

IMAGE = {0: {0: "N"}}

case("Reshape", normal(2, 3, 4), whole(2, 3, 4), note="same", free="x0.0 x0.1 x0.2 y0.0 y0.1 y0.2",
     sizes=[2, 3, 4])  # fmt: skip
case("Reshape", normal(2, 3, 4), whole(0, -1), note="flatten", free="x0.0 x0.2 y0.0 y0.1",
     sizes=[2, 4], dynamic=IMAGE)  # fmt: skip
case("Reshape", normal(2, 12), whole(2, 3, 4), note="split", free="x0.0 x0.1 y0.0 y0.2",
     sizes=[2, 4])  # fmt: skip
case("Reshape", normal(2, 12), whole(0, 3, -1), note="split with wildcards", dynamic=IMAGE,
     free="x0.0 x0.1 y0.0 y0.2", sizes=[2, 4])  # fmt: skip
case("Reshape", normal(2, 12), whole(0, 3, 4), note="split by heads", heads=True, dynamic=IMAGE,
     free="x0.0 x0.1 y0.0 y0.1", sizes=[2, 3])  # fmt: skip
case("Reshape", normal(2, 7, 3, 4), whole(0, 0, 12), note="merge",
     free="x0.0 x0.1 x0.3 y0.0 y0.1 y0.2", sizes=[2, 4, 7],
     dynamic={0: {0: "N", 1: "T"}})  # fmt: skip
case("Reshape", normal(2, 7, 3, 4), whole(0, 0, 12), note="merge by heads", heads=True,
     free="x0.0 x0.1 x0.2 y0.0 y0.1 y0.2", sizes=[2, 3, 7])  # fmt: skip
case("Reshape", normal(2, 6, 5), whole(-1, 2, 3, 5), note="shuffle", dynamic=IMAGE,
     free="x0.0 x0.1 x0.2 y0.0 y0.2 y0.3", sizes=[2, 3, 5])  # fmt: skip
case("Reshape", normal(4, 6), whole(8, 3), note="across", free="x0.1 y0.1", sizes=[3])
case("Reshape", normal(4, 6), whole(6, 4), note="no common digit", free="")
case("Reshape", normal(2, 3, 4), whole(2, 3, 4), allowzero=1, note="allowzero",
     free="x0.0 x0.1 x0.2 y0.0 y0.1 y0.2", sizes=[2, 3, 4])  # fmt: skip
case("Reshape", normal(2, 12), whole(1, 2, 1, 12, 1), note="ones", sizes=[2, 12],
     free="x0.0 x0.1 y0.1 y0.3")  # fmt: skip

case("Flatten", normal(2, 3, 4, 5), note="axis 1", free="x0.0 x0.3 y0.0 y0.1", sizes=[2, 5],
     dynamic=IMAGE)  # fmt: skip
case("Flatten", normal(2, 3, 4), axis=2, note="axis 2", free="x0.1 x0.2 y0.0 y0.1", sizes=[3, 4])
case("Flatten", normal(6, 4), axis=0, note="axis 0", free="x0.1 y0.1", sizes=[4])
case("Flatten", normal(5, 6, 1, 1), note="after pooling", free="x0.0 x0.1 y0.0 y0.1", sizes=[5, 6],
     dynamic=IMAGE)  # fmt: skip

case("Squeeze", normal(2, 1, 4, 1), whole(1, -1), free="x0.0 x0.2 y0.0 y0.1", sizes=[2, 4],
     dynamic=IMAGE)  # fmt: skip
case("Squeeze", normal(2, 1, 4, 1), note="all", free="x0.0 x0.2 y0.0 y0.1", sizes=[2, 4])
case("Squeeze", normal(2, 1, 4), axes=[1], opset=11, note="attribute", free="x0.0 x0.2 y0.0 y0.1")
case("Unsqueeze", normal(2, 4), whole(0, -1), free="x0.0 x0.1 y0.1 y0.2", sizes=[2, 4],
     dynamic=IMAGE)  # fmt: skip
case("Unsqueeze", normal(2, 4), axes=[1], opset=11, note="attribute", free="x0.0 x0.1 y0.0 y0.2")
case("Transpose", normal(2, 3, 4), free="x0.0 x0.1 x0.2 y0.0 y0.1 y0.2", sizes=[2, 3, 4])
case("Transpose", normal(2, 3, 4, 5), perm=[0, 3, 1, 2], note="perm", dynamic={0: {0: "N", 2: "H"}},
     free="x0.0 x0.1 x0.2 x0.3 y0.0 y0.1 y0.2 y0.3", sizes=[2, 3, 4, 5])  # fmt: skip
for mode in ("DCR", "CRD"):
    case("DepthToSpace", normal(2, 12, 3, 4), blocksize=2, mode=mode, note=mode, sizes=[2, 3],
         free="x0.0 x0.1 y0.0 y0.1", dynamic={0: {0: "N", 2: "H", 3: "W"}})  # fmt: skip
case("SpaceToDepth", normal(2, 3, 4, 6), blocksize=2, free="x0.0 x0.1 y0.0 y0.1", sizes=[2, 3],
     dynamic={0: {0: "N", 2: "H", 3: "W"}})  # fmt: skip
