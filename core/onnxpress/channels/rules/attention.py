"""Channel flow through the operator `Attention`: heads, and the dimensions of heads."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from onnxpress.channels.table import CHANNEL_FLOW

if TYPE_CHECKING:
    from onnxpress.channels.cut import Cut
    from onnxpress.channels.labels import Ids
    from onnxpress.channels.site import Port, Site

_PLAIN = 4  # axes of (samples, heads, steps, dimensions)


@CHANNEL_FLOW("Attention", since=23)
def _attention(at: Site) -> None:
    q, k, v, y = at.input(0), at.input(1), at.input(2), at.output()
    if q is None or k is None or v is None or y is None:
        return
    if q.rank == _PLAIN:
        _four_axes(at, q, k, v, y)
    else:
        _three_axes(at, q, k, v, y)


def _four_axes(at: Site, q: Port, k: Port, v: Port, y: Port) -> None:
    """Let heads of queries go with the head of keys and values that they share."""
    at.same(q, 3, k, 3)
    at.same(v, 3, y, 3)
    at.same(q, 1, y, 1)
    at.same(k, 1, v, 1)
    heads, shared = q.sizes[1], k.sizes[1]
    if heads is None or shared is None:
        return
    at.mark_heads(q, 1)
    at.tie(q, 1, k, 1, slice(None), np.arange(heads) // (heads // shared))
    size = q.sizes[3]
    at.on_cut(lambda cut: _keep_scale(at, cut, size if cut.changes(q, 3) else None))


def _three_axes(at: Site, q: Port, k: Port, v: Port, y: Port) -> None:
    """Let whole heads be cut, or the same dimensions of all heads."""
    heads, shared = at.integer("q_num_heads", 1), at.integer("kv_num_heads", 1)
    sizes = [port.sizes[2] for port in (q, k, v, y)]
    if None in sizes:
        return
    counts = (heads, shared, shared, heads)
    each = [(size or 0) // count for size, count in zip(sizes, counts, strict=True)]
    ports = (q, k, v, y)

    def whole_heads() -> Ids:
        ids = at.fresh(shared)
        at.flow.heads.append(ids)
        for port, dims, count in zip(ports, each, counts, strict=True):
            head = np.arange(port.sizes[2] or 0) // dims
            at.digit(port, 2, head // (count // shared), ids)
        return ids

    def dimensions() -> Ids:
        keys, values = at.fresh(each[0]), at.fresh(each[2])
        for port, dims, ids in zip(ports, each, (keys, keys, values, values), strict=True):
            at.digit(port, 2, np.arange(port.sizes[2] or 0) % dims, ids)
        return np.concatenate([keys, values])

    both = [dimensions, whole_heads]
    at.choose(both[::-1] if at.flow.heads_first else both)

    def fix(cut: Cut) -> None:
        whole = cut.kept(k, 2).reshape(shared, -1).any(axis=1)
        cut.set_integer(at.node, "kv_num_heads", int(whole.sum()))
        cut.set_integer(at.node, "q_num_heads", int(whole.sum()) * heads // shared)
        if whole.all() and cut.changes(q, 2):
            _keep_scale(at, cut, each[0])

    at.on_cut(fix)


def _keep_scale(at: Site, cut: Cut, size: int | None) -> None:
    """Write out the scale that follows from how many dimensions heads had."""
    if size is not None and "scale" not in at.node.attributes:
        cut.node(at.node).attributes["scale"] = ir.AttrFloat32("scale", 1 / sqrt(size))
