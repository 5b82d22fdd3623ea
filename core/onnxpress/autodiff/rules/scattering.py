"""ScatterElements and ScatterND: elements of a tensor replaced by, or reduced with, updates."""

from __future__ import annotations

from dataclasses import dataclass

from onnxpress.autodiff.moving import add_elements
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor


@dataclass(frozen=True)
class Slots:
    """The places of a tensor that updates go to.

    Attributes:
        at: The node; its second input says where the places are.
    """

    at: Site

    def read(self, x: Tensor) -> Tensor:
        """Return what is at the places, in the shape of the updates."""
        if self.at.node.op_type == "ScatterND":
            found = x.op("GatherND", x, self.at.input(1))
        else:
            found = x.op("GatherElements", x, self.at.input(1), axis=self.at.integer("axis"))
        return x.op.typed(found.value, x.dtype, self.at.input(2).shape)

    def write(self, x: Tensor, updates: Tensor, reduction: str | None = None) -> Tensor:
        """Return `x` with `updates` at the places."""
        if self.at.node.op_type == "ScatterND":
            return x.op("ScatterND", x, self.at.input(1), updates, reduction=reduction)
        axis = self.at.integer("axis")
        if reduction == "add":
            return add_elements(x, self.at.input(1), updates, axis)
        return x.op("ScatterElements", x, self.at.input(1), updates, axis=axis, reduction=reduction)


@GRADIENTS("ScatterElements", "ScatterND")
def _scatter(at: Site) -> Gradients:
    """By reduction; with none, ONNX leaves open what happens if a place is named twice."""
    slots, reduction = Slots(at), at.text("reduction", "none")
    dy = at.gradient
    if reduction == "add":
        return dy, None, slots.read(dy)
    if reduction == "mul":
        return _product(at, slots)
    if reduction in {"max", "min"}:
        return _extreme(at, slots)
    return slots.write(dy, at.op.zeros_like(at.input(2))), None, slots.read(dy)


def _product(at: Site, slots: Slots) -> Gradients:
    """``y = x · Π u``: each factor gets the product of the others, also where some are zero.

    Zeros are counted and left out of the product, which counts only for a factor beside which
    there is none.
    """
    op, dy, x, u = at.op, at.gradient, at.input(0), at.input(2)
    ones = op.filled(x, 1)
    dx = dy * slots.write(ones, u, "mul")
    if not at.needs(2):
        return [dx]
    empty, blank = (t.equal(0).cast(t.dtype) for t in (u, x))
    others = slots.read(slots.write(x + blank, u + empty, "mul")) / (u + empty)
    zeros = slots.read(slots.write(blank, empty, "add")) - empty
    return dx, None, slots.read(dy) * others * zeros.equal(0).cast(u.dtype)


def _extreme(at: Site, slots: Slots) -> Gradients:
    """The largest (or smallest) of what met at a place; equal ones share."""
    dy, x, y, u = at.gradient, at.input(0), at.output(), at.input(2)
    own = x.equal(y).cast(dy.dtype)
    theirs = u.equal(slots.read(y)).cast(dy.dtype)
    share = dy / slots.write(own, theirs, "add")
    return share * own, None, slots.read(share) * theirs
