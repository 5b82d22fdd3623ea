"""Channel flow through operators that read or write along some axes only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxpress.channels.site import axis_of
from onnxpress.channels.table import CHANNEL_FLOW

if TYPE_CHECKING:
    from onnxpress.channels.site import Site


@CHANNEL_FLOW("ScatterND")
def _scatter_nd(at: Site) -> None:
    """Keep the axes that indices speak of; the others go through."""
    x, indices, updates, y = at.input(0), at.input(1), at.input(2), at.output()
    if x is None or indices is None or y is None or indices.sizes[-1] is None:
        return
    for axis in range(indices.sizes[-1], x.rank):
        at.same(x, axis, y, axis)
        if updates is not None:
            at.same(updates, axis - x.rank + updates.rank, y, axis)


@CHANNEL_FLOW("GatherND")
def _gather_nd(at: Site) -> None:
    x, indices, y = at.input(0), at.input(1), at.output()
    if x is None or indices is None or y is None or indices.sizes[-1] is None:
        return
    for axis in range(at.integer("batch_dims", 0) + indices.sizes[-1], x.rank):
        at.same(x, axis, y, axis - x.rank + y.rank)


@CHANNEL_FLOW("GatherElements", "ScatterElements")
def _elements(at: Site) -> None:
    x, y = at.input(0), at.output()
    if x is None or y is None:
        return
    others = [at.input(i) for i in range(1, len(at.node.inputs))]
    along = axis_of(at.integer("axis", 0), x)
    for axis in (i for i in range(x.rank) if i != along):
        ports = [x, y, *(port for port in others if port is not None)]
        if len({port.sizes[axis] for port in ports}) == 1:
            for port in ports[1:]:
                at.same(port, axis, x, axis)


@CHANNEL_FLOW("LRN", "TopK")
def _all_but_one(at: Site) -> None:
    """Keep the axis along which the operator works; the others go through."""
    x = at.input(0)
    if x is None:
        return
    along = 1 if at.node.op_type == "LRN" else axis_of(at.integer("axis", -1), x)
    for y in at.outputs:
        for axis in range(x.rank if y is not None and y.rank == x.rank else 0):
            if axis != along and y is not None:
                at.same(x, axis, y, axis)


@CHANNEL_FLOW("GridSample", "MaxRoiPool", "RoiAlign", "MaxUnpool")
def _windows(at: Site) -> None:
    """Let channels go through what moves pixels about."""
    x, y = at.input(0), at.output()
    if x is not None and y is not None:
        at.same(x, 1, y, 1)


@CHANNEL_FLOW("Trilu")
def _trilu(at: Site) -> None:
    x, y = at.input(0), at.output()
    for axis in range(0 if x is None else x.rank - 2):
        if x is not None and y is not None:
            at.same(x, axis, y, axis)


@CHANNEL_FLOW("ReverseSequence")
def _reverse(at: Site) -> None:
    """Keep steps and samples, which are the first two axes."""
    x, y = at.input(0), at.output()
    if x is not None and y is not None:
        at.broadcast(x, y, range(2, x.rank))


@CHANNEL_FLOW("MeanVarianceNormalization")
def _mvn(at: Site) -> None:
    x, y = at.input(0), at.output()
    if x is None or y is None:
        return
    over = {axis_of(axis, x) for axis in at.integers("axes") or (0, 2, 3)}
    for axis in (i for i in range(x.rank) if i not in over):
        at.same(x, axis, y, axis)


@CHANNEL_FLOW("Bernoulli", "EyeLike", "Multinomial", "NonMaxSuppression", "NonZero", "OneHot")
@CHANNEL_FLOW("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Range")
@CHANNEL_FLOW("BlackmanWindow", "Compress", "DFT", "Det", "HammingWindow", "HannWindow", "STFT")
@CHANNEL_FLOW("Size", "Unique")
@CHANNEL_FLOW("MelWeightMatrix", "NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
@CHANNEL_FLOW("If", "Loop", "Scan")
def _whole(_at: Site) -> None:
    """Keep all that these read and give."""
