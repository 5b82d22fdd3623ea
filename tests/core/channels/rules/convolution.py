from __future__ import annotations

from tests.core.channels.cases import case, normal

FREE = "x0.1 x1.0 x1.1 x2.0 y0.1"
N1 = {0: {0: "N", 2: "W"}}
N2 = {0: {0: "N", 2: "H", 3: "W"}}

case("Conv", normal(2, 4, 7), normal(5, 4, 3), normal(5), note="1-D", free=FREE, sizes=[4, 5],
     dynamic=N1)  # fmt: skip
case("Conv", normal(2, 4, 7, 6), normal(5, 4, 3, 2), normal(5), note="2-D", free=FREE,
     sizes=[4, 5], dynamic=N2, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])  # fmt: skip
case("Conv", normal(2, 4, 5, 4, 3), normal(5, 4, 2, 2, 2), normal(5), note="3-D", free=FREE,
     sizes=[4, 5])  # fmt: skip
case("Conv", normal(2, 4, 7, 7), normal(5, 4, 3, 3), note="dilated", dilations=[2, 2],
     pads=[2, 2, 2, 2], free="x0.1 x1.0 x1.1 y0.1", dynamic=N2)  # fmt: skip
case("Conv", normal(2, 4, 7, 7), normal(5, 4, 3, 3), normal(5), note="stored", stored=[1, 2],
     free=FREE, sizes=[4, 5], dynamic=N2)  # fmt: skip
case("Conv", normal(2, 8, 5, 5), normal(6, 4, 3, 3), normal(6), note="2 groups", group=2,
     free=FREE, sizes=[3, 4], dynamic=N2)  # fmt: skip
case("Conv", normal(2, 6, 5), normal(6, 2, 3), normal(6), note="3 groups of 2", group=3,
     free=FREE, sizes=[2, 2], stored=[1, 2])  # fmt: skip
case("Conv", normal(2, 6, 5, 5), normal(6, 1, 3, 3), normal(6), note="depthwise", group=6,
     free="x0.1 x1.0 x2.0 y0.1", sizes=[6], stored=[1, 2], dynamic=N2)  # fmt: skip
case("Conv", normal(2, 6, 5, 5), normal(12, 1, 3, 3), normal(12), note="depthwise times 2",
     group=6, free="x0.1 x1.0 x2.0 y0.1", sizes=[6])  # fmt: skip
case("Conv", normal(2, 6, 5), normal(3, 2, 3), note="one channel out of every group", group=3,
     free="x0.1 x1.0 y0.1", sizes=[3])  # fmt: skip

case("ConvTranspose", normal(2, 4, 7), normal(4, 5, 3), normal(5), note="1-D", free=FREE,
     sizes=[4, 5], dynamic=N1)  # fmt: skip
case("ConvTranspose", normal(2, 4, 5, 6), normal(4, 5, 3, 2), normal(5), note="2-D", free=FREE,
     sizes=[4, 5], strides=[2, 2], output_padding=[1, 1], dynamic=N2)  # fmt: skip
case("ConvTranspose", normal(2, 4, 3, 4, 3), normal(4, 5, 2, 2, 2), note="3-D",
     free="x0.1 x1.0 x1.1 y0.1", sizes=[4, 5])  # fmt: skip
case("ConvTranspose", normal(2, 6, 5, 5), normal(6, 4, 3, 3), normal(8), note="2 groups",
     group=2, free=FREE, sizes=[3, 4], dynamic=N2)  # fmt: skip
case("ConvTranspose", normal(2, 6, 5, 5), normal(6, 1, 3, 3), normal(6), note="depthwise",
     group=6, free="x0.1 x1.0 x2.0 y0.1", sizes=[6], stored=[1, 2])  # fmt: skip
case("ConvTranspose", normal(2, 6, 5), normal(6, 1, 3), note="2 groups of one channel", group=2,
     free="x0.1 x1.0 y0.1", sizes=[2])  # fmt: skip
case("ConvTranspose", normal(2, 6, 5), normal(6, 2, 3), note="depthwise times 2", group=6,
     free="x0.1 x1.0 y0.1", sizes=[6])  # fmt: skip
