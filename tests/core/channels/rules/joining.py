from __future__ import annotations

import numpy as np

from tests.core.channels.cases import case, normal, whole

BATCH = {0: {0: "N"}}
FAR = np.iinfo(np.int64).max

case("Concat", normal(2, 3, 4), normal(2, 5, 4), axis=1, sizes=[2, 3, 4, 5],
     free="x0.0 x0.1 x0.2 x1.0 x1.1 x1.2 y0.0 y0.1 y0.2",
     dynamic={0: {0: "N"}, 1: {0: "N"}})  # fmt: skip
case("Concat", normal(2, 3), normal(2, 4), normal(2, 5), axis=-1, note="three", sizes=[2, 3, 4, 5],
     free="x0.0 x0.1 x1.0 x1.1 x2.0 x2.1 y0.0 y0.1")  # fmt: skip
case("Concat", normal(2, 3), normal(2, 1), axis=1, note="one position", sizes=[2, 3],
     free="x0.0 x0.1 x1.0 y0.0 y0.1")  # fmt: skip

case("Split", normal(2, 9), whole(2, 3, 4), axis=1, outputs=3, note="uneven",
     free="x0.0 x0.1 y0.0 y0.1 y1.0 y1.1 y2.0 y2.1", sizes=[2, 2, 3, 4], dynamic=BATCH)  # fmt: skip
case("Split", normal(2, 6), axis=-1, num_outputs=2, outputs=2, note="even",
     free="x0.0 x0.1 y0.0 y0.1 y1.0 y1.1", sizes=[2, 3, 3], dynamic=BATCH)  # fmt: skip
case("Split", normal(2, 5), whole(1, 4), axis=1, outputs=2, note="one position",
     free="x0.0 x0.1 y0.0 y1.0 y1.1", sizes=[2, 4])  # fmt: skip

case("Slice", normal(2, 8), whole(2), whole(6), whole(1), note="middle", sizes=[2, 4, 4],
     free="x0.0 x0.1 y0.0 y0.1", dynamic=BATCH)  # fmt: skip
case("Slice", normal(2, 8), whole(0), whole(4), whole(1), note="first half", sizes=[2, 4, 4],
     free="x0.0 x0.1 y0.0 y0.1")  # fmt: skip
case("Slice", normal(2, 8), whole(-3), whole(FAR), whole(-1), note="last three", sizes=[2, 3, 5],
     free="x0.0 x0.1 y0.0 y0.1")  # fmt: skip
case("Slice", normal(2, 8), whole(1), whole(FAR), whole(1), whole(2), note="every other",
     free="x0.0 x0.1 y0.0 y0.1", sizes=[2, 4, 4])  # fmt: skip
case("Slice", normal(2, 8), whole(-1), whole(-FAR), whole(1), whole(-1), note="backwards",
     free="x0.0 x0.1 y0.0 y0.1", sizes=[2, 8])  # fmt: skip
case("Slice", normal(2, 8), whole(6), whole(-9), whole(1), whole(-2), note="backwards by two",
     free="x0.0 x0.1 y0.0 y0.1", sizes=[2, 4, 4])  # fmt: skip
case("Slice", normal(2, 8), whole(6), whole(-8), whole(1), whole(-2), note="backwards to a bound",
     free="x0.0 x0.1 y0.0 y0.1", sizes=[2, 3, 5])  # fmt: skip
case("Slice", normal(3, 8, 6), whole(1, 2), whole(7, 5), whole(1, 2), note="two axes",
     free="x0.0 x0.1 x0.2 y0.0 y0.1 y0.2", sizes=[2, 3, 3, 3, 6])  # fmt: skip
case("Slice", normal(3, 8), whole(0, 1), whole(2, 6), note="no axes",
     free="x0.0 x0.1 y0.0 y0.1")  # fmt: skip
case("Slice", normal(6, 8), whole(0), whole(4), whole(0), note="open axis", sizes=[2, 4, 8],
     free="x0.0 x0.1 y0.0 y0.1", dynamic=BATCH)  # fmt: skip

case("Gather", normal(3, 8), np.array(2), axis=1, note="one", free="x0.0 x0.1 y0.0", sizes=[3, 7])
case("Gather", normal(3, 8, 4), np.array(-1), axis=1, note="last", dynamic=BATCH,
     free="x0.0 x0.1 x0.2 y0.0 y0.1", sizes=[3, 4, 7])  # fmt: skip
case("Gather", normal(3, 8), whole(5, 1, -2), axis=1, note="vector", dynamic=BATCH,
     free="x0.0 x0.1 x1.0 y0.0 y0.1", sizes=[3, 3, 5])  # fmt: skip
case("Gather", normal(3, 6), whole(5, 1, 5, 0), axis=1, note="twice",
     free="x0.0 x0.1 x1.0 y0.0 y0.1")  # fmt: skip
case("Gather", normal(3, 6), np.array([[1, 2], [4, 5]]), axis=1, note="matrix",
     free="x0.0 x0.1 y0.0", sizes=[2, 3])  # fmt: skip
case("Gather", normal(7, 6), np.array([[1, 2, 6], [4, 5, 0]]), note="embedding", fed=[1],
     free="x0.1 y0.2", sizes=[6], dynamic={1: {0: "N", 1: "T"}})  # fmt: skip

case("Pad", normal(2, 3, 4), whole(0, 2, 0, 0, 1, 0), note="channels", sizes=[2, 3, 4],
     free="x0.0 x0.1 x0.2 y0.0 y0.1 y0.2", dynamic=BATCH)  # fmt: skip
case("Pad", normal(2, 3, 4), whole(0, 0, 1, 0, 0, 2), note="pixels", sizes=[2, 3, 4],
     free="x0.0 x0.1 x0.2 y0.0 y0.1 y0.2")  # fmt: skip
case("Pad", normal(2, 3, 5), whole(1, 1), np.float32(0), whole(-1), note="axes", stored=[1, 2, 3],
     free="x0.0 x0.1 x0.2 y0.0 y0.1 y0.2", dynamic=BATCH)  # fmt: skip
case("Pad", normal(2, 3, 5), whole(0, 0, 1, 0, 0, 1), mode="reflect", note="reflect",
     free="x0.0 x0.1 y0.0 y0.1", sizes=[2, 3])  # fmt: skip

case("Expand", normal(3, 1), whole(3, 4), free="x0.0 y0.0", sizes=[3])
case("Expand", normal(3, 1), whole(2, 3, 4), note="new axis", free="x0.0 y0.1", sizes=[3])
case("Expand", normal(4), whole(3, 1), note="smaller target", free="x0.0 y0.1", sizes=[4])
case("Tile", normal(2, 3), whole(1, 2), free="x0.0 x0.1 y0.0 y0.1", sizes=[2, 3], dynamic=BATCH)
case("Shape", normal(2, 3), type=np.int64, free="", note="read whole")
case("Resize", normal(2, 3, 4, 5), None, np.array([1, 1, 2, 2], np.float32), stored=[2],
     note="scales", free="x0.0 x0.1 y0.0 y0.1", sizes=[2, 3],
     dynamic={0: {0: "N", 2: "H", 3: "W"}})  # fmt: skip
case("Resize", normal(2, 3, 4, 5), None, None, whole(2, 3, 8, 7), mode="linear", note="sizes",
     free="x0.0 x0.1 y0.0 y0.1", sizes=[2, 3])  # fmt: skip
case("Resize", normal(2, 3, 4, 5), None, None, whole(8, 7), axes=[2, 3], note="axes",
     free="x0.0 x0.1 y0.0 y0.1", sizes=[2, 3], dynamic=BATCH)  # fmt: skip
case("Resize", normal(2, 3, 4), None, np.array([1, 2, 1], np.float32), stored=[2],
     note="channels resized", free="x0.0 y0.0", sizes=[2])  # fmt: skip
case("ConstantOfShape", whole(3, 4), free="")
