"""Channel flow through recurrent layers: their inputs and their hidden units.

Both directions of a bidirectional layer have the same number of hidden units, so that a unit
goes from both.  Matrices hold one row for every gate of every unit, gate by gate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxpress.channels.table import CHANNEL_FLOW

if TYPE_CHECKING:
    from onnxpress.channels.labels import Ids
    from onnxpress.channels.site import Port, Site


@CHANNEL_FLOW("GRU", "LSTM", "RNN")
def _recurrent(at: Site) -> None:
    # W: directions, gates × units, inputs.  R: directions, gates × units, units.
    x, weights, recurrence = at.input(0), at.input(1), at.input(2)
    if x is None or weights is None or recurrence is None or recurrence.sizes[2] is None:
        return
    units = recurrence.sizes[2]
    shared = at.fresh(units)
    at.same(x, 2, weights, 2)
    # Biases (input 3) and peepholes (input 7) hold one vector for every gate.
    for port, axis in ((weights, 1), (recurrence, 1), (at.input(3), 1), (at.input(7), 1)):
        _units(at, port, axis, shared)
    _units(at, recurrence, 2, shared)
    for state in (at.input(5), at.input(6), at.output(0), at.output(1), at.output(2)):
        if state is not None:
            _units(at, state, state.rank - 1, shared)
    at.on_cut(lambda cut: cut.set_integer(at.node, "hidden_size", cut.left(recurrence, 2)))


def _units(at: Site, port: Port | None, axis: int, shared: Ids) -> None:
    size = None if port is None else port.sizes[axis]
    if port is not None and size is not None:
        at.digit(port, axis, np.arange(size) % shared.size, shared)
