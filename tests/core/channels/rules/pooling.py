from __future__ import annotations

from tests.core.channels.cases import case, normal, positive, whole

IMAGE = {0: {0: "N", 2: "H", 3: "W"}}
BATCH = {0: {0: "N"}}

for op in ("AveragePool", "MaxPool", "LpPool"):
    case(op, normal(2, 4, 6, 5), kernel_shape=[2, 2], strides=[2, 1], free="x0.0 x0.1 y0.0 y0.1",
         sizes=[2, 4], dynamic=IMAGE)  # fmt: skip
case("MaxPool", normal(2, 4, 6), kernel_shape=[2], outputs=1, note="1-D",
     free="x0.0 x0.1 y0.0 y0.1")  # fmt: skip
for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
    case(op, normal(2, 4, 6, 5), free="x0.0 x0.1 y0.0 y0.1", sizes=[2, 4], dynamic=IMAGE)

NEUTRAL = ("ReduceL1", "ReduceL2", "ReduceMean", "ReduceSum", "ReduceSumSquare")
for op in NEUTRAL:
    case(op, normal(2, 3, 4), whole(1), note="axis 1", free="x0.0 x0.1 x0.2 y0.0 y0.2",
         sizes=[2, 3, 4], dynamic=BATCH)  # fmt: skip
    case(op, normal(2, 3, 4), whole(-1), note="dropped", keepdims=0,
         free="x0.0 x0.1 x0.2 y0.0 y0.1", dynamic=BATCH)  # fmt: skip
    case(op, normal(2, 5), note="all", free="x0.0 x0.1")
    case(op, normal(2, 5), note="none", noop_with_empty_axes=1, free="x0.0 x0.1 y0.0 y0.1")
    case(op, normal(2, 5), whole(0), note="axis 0 open", free="x0.0 x0.1 y0.1",
         dynamic={0: {0: "N"}})  # fmt: skip
case("ReduceMean", normal(2, 3, 4), axes=[1], opset=17, note="attribute",
     free="x0.0 x0.1 x0.2 y0.0 y0.2")  # fmt: skip
for op in ("ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMin", "ReduceProd"):
    case(op, positive(2, 3, 4), whole(1), free="x0.0 x0.2 y0.0 y0.2", sizes=[2, 4], dynamic=BATCH)

for op in ("ArgMax", "ArgMin"):
    case(op, normal(2, 3, 4), axis=1, free="x0.0 x0.2 y0.0 y0.2", sizes=[2, 4], dynamic=BATCH)
    case(op, normal(2, 3, 4), axis=-2, keepdims=0, note="dropped", free="x0.0 x0.2 y0.0 y0.1")
for op in ("Softmax", "LogSoftmax", "Hardmax"):
    case(op, normal(2, 3, 4), free="x0.0 x0.1 y0.0 y0.1", sizes=[2, 3], dynamic=BATCH)
    case(op, normal(2, 3, 4), axis=1, note="axis 1", free="x0.0 x0.2 y0.0 y0.2", dynamic=BATCH)
case("CumSum", normal(2, 3, 4), whole(1), free="x0.0 x0.2 y0.0 y0.2", dynamic=BATCH)
