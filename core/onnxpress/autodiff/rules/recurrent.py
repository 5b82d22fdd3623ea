"""What the rules of LSTM, GRU and RNN have in common: products over all steps at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from onnxpress.autodiff.directions import C0, H0, LENGTHS, B, Direction, P, R, W, X, directions
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.sizes import size, to_shape
from onnxpress.autodiff.table import Gradients
from onnxpress.autodiff.tensor import Tensor


@dataclass(frozen=True)
class Slopes:
    """What one direction has the gradients from.

    Attributes:
        inputs: The gradient of what the input gives to the gates, (T, B, G).
        states: That of what the state gives to them; it differs where a gate comes between.
        first: Those of the states before the first step.
        r: That of the weights of the state, if it does not follow from `states`.
    """

    inputs: Tensor
    states: Tensor
    first: Sequence[Tensor]
    r: Tensor | None = None


Back: TypeAlias = Callable[[Direction], Slopes]


def differentiate(at: Site, back: Back, states: int) -> Gradients:
    """Return the gradients of a node's inputs.

    Args:
        at: The node.
        back: Goes back through the steps of one direction.
        states: How many states the node has.
    """
    parts = [_of_inputs(d, back(d)) for d in directions(at, states)]
    found: list[Tensor | None] = [None] * len(at.x)
    for index in parts[0]:
        if at.needs(index):
            terms = [part[index] for part in parts]
            found[index] = at.op.add(terms) if index == X else _stacked(at.input(index), terms)
    return found


def is_usual(at: Site, activations: Sequence[str]) -> bool:
    """Say whether a node applies these activations in all directions, and has nothing special."""
    given = at.node.attributes.get("activations")
    names = [name.lower() for name in given.as_strings()] if given else None
    wanted = [name.lower() for name in activations]
    special = at.has(LENGTHS) or at.has(P) or at.integer("input_forget") or at.number("clip", 0)
    return not special and names in (wanted, wanted * 2, None)


def over_steps(left: Tensor, right: Tensor) -> Tensor:
    """Return ``sum left[t, b, i] · right[t, b, j]`` over steps and sequences, (i, j)."""
    rows = [to_shape(x, -1, size(x, -1)) for x in (left, right)]
    result = left.op("Gemm", *rows, transA=1)
    shape = [None if x.shape is None else x.shape[-1] for x in (left, right)]
    return left.op.typed(result.value, left.dtype, shape)


def _of_inputs(d: Direction, slopes: Slopes) -> dict[int, Tensor]:
    """Return the gradients of the inputs; those that nobody wants are dropped later."""
    sums = [slope.sum((0, 1), keepdims=False) for slope in (slopes.inputs, slopes.states)]
    states = dict(zip((H0, C0), slopes.first, strict=False))
    return {
        X: slopes.inputs @ d.w,
        W: over_steps(slopes.inputs, d.x),
        R: slopes.r or over_steps(slopes.states, d.before(d.y, d.first[0])),
        B: d.x.op.concat(sums),
        **states,
    }


def _stacked(like: Tensor, terms: Sequence[Tensor]) -> Tensor:
    """Put the directions together again."""
    op = like.op
    result = op.concat(term.unsqueeze(0) for term in terms)
    return op.typed(result.value, like.dtype, like.shape)
