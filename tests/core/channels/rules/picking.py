from __future__ import annotations

import numpy as np

from tests.core.channels.cases import case, normal, positive, whole

BATCH = {0: {0: "N"}}
IMAGE = {0: {0: "N", 2: "H", 3: "W"}}

case("ScatterND", normal(5, 4, 3), np.array([[1], [3]]), normal(2, 4, 3), sizes=[3, 4],
     free="x0.1 x0.2 x2.1 x2.2 y0.1 y0.2", dynamic=BATCH)  # fmt: skip
case("ScatterND", normal(5, 4, 3), np.array([[1, 0], [3, 2]]), normal(2, 3), note="pairs",
     free="x0.2 x2.1 y0.2", sizes=[3])  # fmt: skip
case("GatherND", normal(5, 4, 3), np.array([[1], [3]]), free="x0.1 x0.2 y0.1 y0.2", sizes=[3, 4])
case("GatherND", normal(5, 4, 3), np.array([[1, 0], [3, 2]]), note="pairs", free="x0.2 y0.1",
     sizes=[3])  # fmt: skip
case("GatherND", normal(2, 5, 4), np.array([[1], [3]]), batch_dims=1, note="batch",
     free="x0.2 y0.1", sizes=[4])  # fmt: skip
INDICES = np.random.default_rng(0).integers(0, 3, (2, 3, 4))
case("GatherElements", normal(2, 3, 4), INDICES, axis=1, free="x0.0 x0.2 x1.0 x1.2 y0.0 y0.2",
     sizes=[2, 4])  # fmt: skip
case("GatherElements", normal(3, 5), np.array([[0, 1], [2, 2]]), axis=1, note="fewer", free="")
case("ScatterElements", normal(2, 3, 4), INDICES, normal(2, 3, 4, seed=1), axis=1,
     reduction="add", free="x0.0 x0.2 x1.0 x1.2 x2.0 x2.2 y0.0 y0.2", sizes=[2, 4])  # fmt: skip
case(
    "LRN",
    normal(2, 5, 3, 4),
    size=3,
    free="x0.0 x0.2 x0.3 y0.0 y0.2 y0.3",
    sizes=[2, 3, 4],
    dynamic=BATCH,
)
case("TopK", normal(2, 5, 3), whole(2), axis=1, outputs=2, sizes=[2, 3], dynamic=BATCH,
     free="x0.0 x0.2 y0.0 y0.2 y1.0 y1.2")  # fmt: skip
GRID = np.asarray(np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 2)), np.float32)
case("GridSample", normal(2, 6, 5, 5), GRID, free="x0.1 y0.1", sizes=[6],
     dynamic={0: {2: "H", 3: "W"}})  # fmt: skip
ROIS = np.array([[0, 0, 0, 3, 3], [0, 1, 1, 4, 4]], np.float32)
case("MaxRoiPool", normal(1, 6, 5, 5), ROIS, pooled_shape=[2, 2], stored=[1], free="x0.1 y0.1",
     sizes=[6])  # fmt: skip
case("RoiAlign", normal(1, 6, 5, 5), ROIS[:, 1:], whole(0, 0), output_height=2, output_width=2,
     stored=[1, 2], free="x0.1 y0.1", sizes=[6])  # fmt: skip
case("MaxUnpool", normal(1, 1, 2, 2), np.array([[[[5, 7], [13, 15]]]]), kernel_shape=[2, 2],
     strides=[2, 2], free="")  # fmt: skip
case("Trilu", normal(5, 3, 4), free="x0.0 y0.0", sizes=[5], dynamic=BATCH)
case("ReverseSequence", normal(4, 3, 5), whole(4, 2, 3), free="x0.2 y0.2", sizes=[5])
case("MeanVarianceNormalization", normal(2, 3, 4, 5), free="x0.1 y0.1", sizes=[3], dynamic=IMAGE)
case("MeanVarianceNormalization", normal(2, 3, 4, 5), axes=[2, -1], note="axes", sizes=[2, 3],
     free="x0.0 x0.1 y0.0 y0.1")  # fmt: skip

# All that these read and give stays whole.
case("EyeLike", normal(3, 4), free="")
case("NonZero", normal(3, 4), type=np.int64, free="")
case("OneHot", np.array([1, 2]), np.array(3), normal(2), free="", stored=[0, 1])
case("Compress", normal(3, 4), np.array([True, False, True]), axis=0, stored=[1], free="")
case("DFT", normal(1, 6, 1), free="", opset=20)
case("STFT", normal(1, 16, 1), np.array(4), normal(8), stored=[1], free="")
case("Det", normal(3, 4, 4), free="")
case("Size", normal(3, 4), free="")
case("Unique", normal(6), free="")
case("NonMaxSuppression", positive(1, 4, 4), positive(1, 2, 4), free="")
case("SoftmaxCrossEntropyLoss", normal(3, 4), whole(0, 1, 3), free="")
case("NegativeLogLikelihoodLoss", normal(3, 4), whole(0, 1, 3), free="")
