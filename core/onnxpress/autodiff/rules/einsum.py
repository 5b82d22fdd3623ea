"""Einsum: the gradient of every operand is an Einsum of the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import ascii_letters
from typing import Final

from onnxpress.autodiff.broadcasting import sum_to
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import GRADIENTS, Gradients
from onnxpress.autodiff.tensor import Tensor
from onnxpress.autodiff.typing import broadcast
from onnxpress.errors import ModelError
from onnxpress.graph.types import Dim

_DOTS: Final = "..."


@GRADIENTS("Einsum")
def _einsum(at: Site) -> Gradients:
    """``d x_i = Einsum(dy, the other operands -> letters of i)``.

    Letters that only `x_i` has were summed away: the gradient is the same along them.  Where
    `x_i` has a letter twice only its diagonal was read: the gradient is zero elsewhere.
    """
    xs = [at.input(index) for index in range(len(at.x))]
    terms, result = _letters(at, xs)
    sizes, dy = _sizes(terms, xs), at.gradient
    if dy.shape is None:
        dy = at.op.typed(dy.value, dy.dtype, [sizes[letter] for letter in result])
    found: list[Tensor | None] = []
    for index, x in enumerate(xs):
        others = [pair for j, pair in enumerate(zip(terms, xs, strict=True)) if j != index]
        found.append(_of(x, terms[index], [(result, dy), *others]) if at.needs(index) else None)
    return found


def _of(x: Tensor, letters: str, operands: Sequence[tuple[str, Tensor]]) -> Tensor:
    """Return the gradient of one operand, from the gradient of the result and the others."""
    sizes = _sizes(*zip(*operands, strict=True))
    once = "".join(dict.fromkeys(letters))
    kept = "".join(letter for letter in once if letter in sizes)
    equation = ",".join(term for term, _ in operands) + f"->{kept}"
    dx = _multiply(equation, [tensor for _, tensor in operands])
    dx = x.op.typed(dx.value, x.dtype, [sizes[letter] for letter in kept])
    again = [i for i, letter in enumerate(letters) if letters.index(letter) < i]
    new = [i for i, letter in enumerate(letters) if i in again or letter not in sizes]
    dx = dx.unsqueeze(*new) if new else dx
    for i in again:
        dx = dx * _diagonal(x, letters.index(letters[i]), i)
    summed_away = [letter for letter in once if letter not in operands[0][0]]
    if any(_may_be_wider(x, letters.index(c), sizes.get(c, 1)) for c in summed_away):
        dx = x.op("Expand", dx, x.sizes())
    return sum_to(dx, x)


def _may_be_wider(x: Tensor, axis: int, dim: Dim) -> bool:
    """Say whether `x` may have more elements along an axis than `dim`, which would be 1."""
    own = None if x.shape is None else x.shape[axis]
    return own != 1 and (own is None or own != dim)


def _multiply(equation: str, operands: Sequence[Tensor]) -> Tensor:
    """Add an Einsum, or what came in where that would change nothing."""
    before, after = equation.split("->")
    if before == after:
        return operands[0]
    return operands[0].op("Einsum", *operands, equation=equation)


def _diagonal(x: Tensor, first: int, second: int) -> Tensor:
    """Return ones where the coordinates along two axes of `x` are equal, and zeros elsewhere.

    The axes behind the second are there, with size 1; those before the first are not.
    """
    op = x.op
    steps = op("Range", op.scalar(0), x.size(second).squeeze(0), op.scalar(1))
    steps = op.typed(steps.value, steps.dtype, [(x.shape or ())[second]])
    rank = x.rank or 0
    rows = steps.unsqueeze(*range(1, rank - first))
    columns = steps.unsqueeze(*range(1, rank - second)) if second < rank - 1 else steps
    return rows.equal(columns).cast(x.dtype)


def _sizes(terms: Iterable[str], xs: Iterable[Tensor]) -> dict[str, Dim]:
    """Return the size of every letter; operands may have 1 where others have more."""
    found: dict[str, Dim] = {}
    for letters, x in zip(terms, xs, strict=True):
        for letter, dim in zip(letters, x.shape or [None] * len(letters), strict=True):
            shape = broadcast([(found.get(letter, 1),), (dim,)])
            found[letter] = None if shape is None else shape[0]
    return found


def _letters(at: Site, xs: Sequence[Tensor]) -> tuple[list[str], str]:
    """Return a letter for every axis of every operand and of the result, without ellipses."""
    equation = at.text("equation", "").replace(" ", "")
    before, arrow, after = equation.partition("->")
    terms = before.split(",")
    spare = [letter for letter in ascii_letters if letter not in equation]
    hidden = [_hidden(at, term, x) for term, x in zip(terms, xs, strict=True)]
    shared = "".join(spare[: max(hidden, default=0)])
    full = [
        term.replace(_DOTS, shared[len(shared) - count :])
        for term, count in zip(terms, hidden, strict=True)
    ]
    if arrow:
        return full, after.replace(_DOTS, shared)
    plain = before.replace(",", "").replace(".", "")
    return full, shared + "".join(sorted(c for c in set(plain) if plain.count(c) == 1))


def _hidden(at: Site, term: str, x: Tensor) -> int:
    """Return for how many axes the ellipsis of a term stands."""
    if _DOTS not in term:
        return 0
    if x.rank is None:
        raise ModelError(
            f"the gradient of Einsum at {at.node.name or at.output().name!r} depends on the number "
            f"of axes of {x.name!r}, which is unknown; give the inputs of the model shapes "
            "(symbols will do), or write the equation without '...'"
        )
    return x.rank - len(term.replace(_DOTS, ""))
