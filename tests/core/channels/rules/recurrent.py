from __future__ import annotations

from itertools import product
from typing import Final

from tests.core.channels.cases import case, normal

GATES: Final = {"RNN": 1, "GRU": 3, "LSTM": 4}
STEPS, SAMPLES, INPUTS, UNITS = 6, 3, 5, 4

for op, (direction, ways), layout in product(
    GATES, [("forward", 1), ("reverse", 1), ("bidirectional", 2)], (0, 1)
):
    if layout:  # ONNX Runtime has no batch-first layers
        continue
    rows, state = GATES[op] * UNITS, normal(ways, SAMPLES, UNITS, seed=2)
    cell = op == "LSTM"
    case(
        op, normal(STEPS, SAMPLES, INPUTS), normal(ways, rows, INPUTS), normal(ways, rows, UNITS),
        normal(ways, 2 * rows), None, state, *([normal(ways, SAMPLES, UNITS)] if cell else []),
        *([normal(ways, 3 * UNITS)] if cell else []),
        direction=direction, hidden_size=UNITS, outputs=3 if cell else 2, note=direction,
        stored=[1, 2, 3, 7] if cell else [1, 2, 3],
        free="x0.2 x1.1 x1.2 x2.1 x2.2 x3.1 x5.2 y0.3 y1.2"
        + (" x6.2 x7.1 y2.2" if cell else ""),
        sizes=[UNITS, INPUTS], dynamic={0: {0: "T"}},
    )  # fmt: skip
case("LSTM", normal(STEPS, SAMPLES, INPUTS), normal(1, 16, INPUTS), normal(1, 16, UNITS),
     hidden_size=UNITS, outputs=1, note="bare", sizes=[UNITS, INPUTS],
     free="x0.2 x1.1 x1.2 x2.1 x2.2 y0.3", dynamic={0: {0: "T", 1: "N"}})  # fmt: skip
case("GRU", normal(STEPS, SAMPLES, INPUTS), normal(1, 12, INPUTS), normal(1, 12, UNITS),
     normal(1, 24), linear_before_reset=1, hidden_size=UNITS, outputs=2, unnamed=[0],
     note="last state", free="x0.2 x1.1 x1.2 x2.1 x2.2 x3.1 y1.2",
     dynamic={0: {1: "N"}})  # fmt: skip
