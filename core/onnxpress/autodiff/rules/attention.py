"""Scaled dot-product attention, with heads that share keys, masks, a soft cap and a cache."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from onnxpress.autodiff.broadcasting import sum_to
from onnxpress.autodiff.builder import attributes_of
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor

RAW, CAPPED, MASKED, WEIGHTS = range(4)
"""What the fourth output holds, by the attribute ``qk_matmul_output_mode``."""


@GRADIENTS("Attention", since=23)
def _attention(at: Site) -> Gradients:
    """``y = P · V`` with ``P = softmax(cap(scale · Q · Kᵀ) + mask)``.

    ``dV = Pᵀ · dy``, ``dP = dy · Vᵀ``, ``dS = P · (dP - Σ dP · P)``, ``dQ = scale · dS · K``,
    ``dK = scale · dSᵀ · Q``.  `P` is asked of the operator itself: it knows which places
    are masked, and gives zeros where all are.  The standard's body gives NaN for those.
    """
    return _Heads(at).gradients()


@dataclass(frozen=True)
class _Heads:
    """An Attention taken apart into tensors of (batch, head, place, channel)."""

    at: Site

    def gradients(self) -> Gradients:
        at, dy = self.at, self._grouped(self._apart(self.at.gradient, "q_num_heads"))
        q, k, v, p = self.q, self.k, self.v, self._grouped(self.weights)
        dp = dy @ _turned(v)
        dp = self._plus(dp, WEIGHTS)
        ds = self._plus(p * (dp - (dp * p).sum((3,))), MASKED)
        mask = self._of_mask(ds) if at.needs(3) else None
        ds = self._plus(ds, CAPPED)
        if cap := at.number("softcap", 0.0):
            capped = at.op("Tanh", (q @ _turned(k)) * self.scale / cap)
            ds = ds * (1 - capped * capped)
        ds = self._plus(ds, RAW) * self.scale
        dq = (ds @ k).reshape_like(self._apart(at.input(0), "q_num_heads"))
        keys, past_keys = self._of_cache(_turned(ds) @ q, 1)
        values, past_values = self._of_cache(_turned(p) @ dy, 2)
        return self._joined(dq, 0), keys, values, mask, past_keys, past_values

    @cached_property
    def q(self) -> Tensor:
        return self._grouped(self._apart(self.at.input(0), "q_num_heads"))

    @cached_property
    def k(self) -> Tensor:
        return self._cache(1)

    @cached_property
    def v(self) -> Tensor:
        return self._cache(2)

    @cached_property
    def scale(self) -> Tensor | float:
        """What products are multiplied by: the root of the number of channels by default."""
        given = self.at.number("scale", 0.0)
        channels = None if self.q.shape is None else self.q.shape[-1]
        if given or isinstance(channels, int):
            return given or float(channels or 1) ** -0.5
        return self.q.size(-1).cast(self.q.dtype) ** -0.5

    @cached_property
    def weights(self) -> Tensor:
        """`P` of every head, which the node may give out already."""
        at, q = self.at, self._apart(self.at.input(0), "q_num_heads")
        given = at.output(3) if self._gives(WEIGHTS) else self._again[3]
        return self._of_shape(given, [q.size(0), q.size(1), q.size(2), self._places(1)])

    @cached_property
    def _again(self) -> tuple[Tensor, ...]:
        """The outputs of the same node, of which the last one is `P`."""
        asked = {**attributes_of(self.at.node), "qk_matmul_output_mode": WEIGHTS}
        return self.at.op.many("Attention", 4, *self.at.x, **asked)

    def _cache(self, index: int) -> Tensor:
        """Return all keys or values, those of the past first.

        ONNX Runtime wants these outputs to be read where a past is given.
        """
        new = self._apart(self.at.input(index), "kv_num_heads")
        if not self.at.has(index + 3):
            return new
        sizes = [new.size(0), new.size(1), self._places(index), new.size(3)]
        return self._of_shape(self._again[index], sizes)

    def _places(self, index: int) -> Tensor:
        """Return how many places keys or values have."""
        new = self._apart(self.at.input(index), "kv_num_heads").size(2)
        return new + self.at.input(index + 3).size(2) if self.at.has(index + 3) else new

    def _of_shape(self, x: Tensor, sizes: list[Tensor]) -> Tensor:
        """Say what the shape of an output is: shape inference of ONNX forgets about the past."""
        q = self._apart(self.at.input(0), "q_num_heads")
        if not self.at.has(4) and q.fixed is not None and self.k.fixed is not None:
            known = (*q.fixed[:3], self.k.fixed[2])
            return self.at.op.typed(x.value, q.dtype, known)
        shaped = self.at.op("Reshape", x, self.at.op.concat(sizes))
        return self.at.op.typed(shaped.value, q.dtype, [None] * 4)

    def _of_cache(self, gradient: Tensor, index: int) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients of new and of past keys or values."""
        at = self.at
        arrived = at.dy[index] if len(at.dy) > index else None
        total = gradient if arrived is None else gradient + arrived
        if not at.has(index + 3):
            return self._joined(total, index), None
        past, new = at.input(index + 3), self._apart(at.input(index), "kv_num_heads")
        sizes = at.op.concat([past.size(2), new.size(2)])
        before, behind = at.op.many("Split", 2, total, sizes, axis=2)
        before = at.op.typed(before.value, total.dtype, past.shape)
        return self._joined(at.op.typed(behind.value, total.dtype, new.shape), index), before

    def _of_mask(self, ds: Tensor) -> Tensor:
        """Return the gradient of a mask of floats, which may cover the first places only."""
        at, mask, weights = self.at, self.at.input(3), self.weights
        wide = ds.reshape_like(weights)
        if mask.shape is None or weights.shape is None or mask.shape[-1] != weights.shape[-1]:
            covered = at.op("Slice", wide, at.op.ints(0), mask.size(-1), at.op.ints(-1))
            last = None if mask.shape is None else mask.shape[-1]
            wide = at.op.typed(covered.value, wide.dtype, [*(wide.shape or (None,) * 4)[:3], last])
        return sum_to(wide, mask)

    def _plus(self, gradient: Tensor, mode: int) -> Tensor:
        """Add what arrived at the fourth output, if that holds what `gradient` is of."""
        arrived = self.at.dy[3] if self._gives(mode) else None
        return gradient if arrived is None else gradient + self._grouped(arrived)

    def _gives(self, mode: int) -> bool:
        given = len(self.at.y) > 3 and self.at.y[3] is not None  # noqa: PLR2004
        return given and self.at.integer("qk_matmul_output_mode") == mode

    def _apart(self, x: Tensor, heads: str) -> Tensor:
        """Return a tensor with an axis for the heads."""
        if count := self.at.integer(heads):
            return x.reshape(0, 0, count, -1).transpose(0, 2, 1, 3)
        return x

    def _joined(self, x: Tensor, index: int) -> Tensor:
        """Return a gradient in the layout of the input that it belongs to."""
        if self.at.integer("q_num_heads"):
            x = x.transpose(0, 2, 1, 3)
        return x.reshape_like(self.at.input(index))

    def _grouped(self, x: Tensor) -> Tensor:
        """Put the heads that share keys below each other: (batch, heads of keys, rows, …)."""
        own, shared = x.shape and x.shape[1], self.k.shape and self.k.shape[1]
        if isinstance(own, int) and own == shared:
            return x
        op = x.op
        sizes = op.concat([op.ints(0), self.k.size(1), op.ints(-1), x.size(-1)])
        found = op("Reshape", x, sizes)
        first, *_, last = x.shape or (None,) * 4
        return op.typed(found.value, x.dtype, [first, shared or None, None, last])


def _turned(x: Tensor) -> Tensor:
    return x.transpose(0, 1, 3, 2)
