"""Pruning one layer so that its outputs change least: block OBS and least squares, in numpy.

With the moments H = X̂ X̂ᵀ and C = X X̂ᵀ the squared error ‖W X - Ŵ X̂‖² of the outputs is
(Ŵ - W*) H (Ŵ - W*)ᵀ and a constant, where W* = W C H⁻¹.  Rows are independent of one another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from onnxpress_pruning.reconstruction.choices import BLOCK, Choice, Given, Goes, Matrix

if TYPE_CHECKING:
    from onnxpress_pruning.reconstruction.moments import Moments

DAMP: Final = 0.01
"""What is added to the diagonal of H, as a share of its mean (SparseGPT's)."""

_MOST_WORK: Final = 5e11  # multiplications for a layer; a minute or less on one core


@dataclass(frozen=True, slots=True)
class Problem:
    """Least squares for the rows of one layer.

    Attributes:
        hessian: H + λ: of shape (groups, columns, columns); of full rank.
        target: W C + λ W, of shape (groups, rows, columns).
        start: W*: what solves it without pruning anything.
        dead: Columns that never differ from zero on the data, of shape (groups, columns).
    """

    hessian: Matrix
    target: Matrix
    start: Matrix
    dead: Goes


def set_up(weights: Matrix, before: Matrix, moments: Moments, damp: float = DAMP) -> Problem:
    """State the problem for weights of shape (groups, rows, columns).

    Args:
        weights: The weights as they are, to which the solution is drawn where data say little.
        before: W, the weights of the same outputs as they were.
        moments: H and C; their scale does not matter.
        damp: λ as a share of the mean of H's diagonal, for each group.
    """
    diagonal = np.einsum("gii->gi", moments.own)
    dead = diagonal == 0
    # A dead column meets no other: it keeps its weight unless that is chosen to go.
    ridge = np.where(dead, 1.0, damp * diagonal.mean(axis=1, keepdims=True))
    hessian = moments.own.copy()
    np.einsum("gii->gi", hessian)[...] += ridge
    target = before @ moments.cross + ridge[:, None] * weights
    start = np.linalg.solve(hessian, target.swapaxes(1, 2)).swapaxes(1, 2)
    return Problem(hessian, target, start.astype(np.float64), dead)


def inverse_factor(hessian: Matrix) -> Matrix:
    """Return U, upper triangular, with H⁻¹ = Uᵀ U: its row i passes on the error of column i."""
    lower: Matrix = np.linalg.cholesky(np.linalg.inv(hessian))
    return np.ascontiguousarray(lower.swapaxes(1, 2))


def sweep(
    problem: Problem, choice: Choice, pruned: Goes, block: int = BLOCK
) -> tuple[Matrix, Goes]:
    """Choose column by column, and let all later columns make up for what went (SparseGPT).

    Frantar & Alistarh 2023, algorithm 1: a weight scores w² / U_jj², the error that pruning
    it leaves when only later columns can make up for it.

    Args:
        problem: The layer.
        choice: What goes.
        pruned: Weights that are zero already, and stay so; of the shape of the weights.
        block: As `BLOCK`; the result does not depend on it but for rounding.

    Returns:
        The weights that are left, and which are not.
    """
    weights, goes = problem.start.copy(), pruned.copy()
    factor = inverse_factor(problem.hessian)
    for start, stop, parts in _blocks(choice.parts(weights.shape[2]), block):
        errors = np.empty((*weights.shape[:2], stop - start))
        inner = factor[:, start:stop, start:stop]
        for part in parts:
            scores = _scores(weights, factor, problem.dead, pruned, part)
            goes[..., part] |= choice.goes(
                scores, part, int(np.count_nonzero(goes[..., : part.start]))
            )
            for at in range(part.start, part.stop):
                i = at - start
                wrong = np.where(goes[..., at], weights[..., at], 0) / inner[:, None, i, i]
                weights[..., at:stop] -= wrong[..., None] * inner[:, None, i, i:]
                weights[..., at][goes[..., at]] = 0
                errors[..., i] = wrong
        weights[..., stop:] -= errors @ factor[:, start:stop, stop:]
    return weights, goes


def _blocks(parts: Sequence[slice], block: int) -> Iterator[tuple[int, int, list[slice]]]:
    """Join parts to blocks of at least `block` columns."""
    held: list[slice] = []
    for part in parts:
        held.append(part)
        if part.stop - held[0].start >= block or part is parts[-1]:
            yield held[0].start, part.stop, held
            held = []


def _scores(weights: Matrix, factor: Matrix, dead: Goes, pruned: Goes, part: slice) -> Matrix:
    diagonal = np.einsum("gii->gi", factor)[:, part]
    scores: Matrix = (weights[..., part] / diagonal[:, None]) ** 2
    scores[np.broadcast_to(dead[:, None, part], scores.shape)] = 0
    scores[pruned[..., part]] = -np.inf
    return scores


def solve(problem: Problem, choice: Choice, zero: Goes) -> tuple[Matrix, Goes]:
    """Choose what goes, and return the best weights for what stays.

    These are the exact least squares where that is not too much work (`refit`), else what the
    sweep that chose them left.

    Args:
        problem: The layer.
        choice: What goes.
        zero: What is zero already, and stays so.
    """
    if isinstance(choice, Given):
        goes = zero if choice.mask is None else zero | choice.mask
        if not goes.any():
            return problem.start, goes
        if refit_work(goes) <= _MOST_WORK:
            return refit(problem, goes), goes
    weights, goes = sweep(problem, choice, zero)
    return (refit(problem, goes) if refit_work(goes) <= _MOST_WORK else weights), goes


def refit(problem: Problem, goes: Goes) -> Matrix:
    """Return the best weights where some are zero: exact least squares, row by row."""
    found = np.zeros_like(problem.target)
    for group, row in np.ndindex(*goes.shape[:2]):
        kept = np.flatnonzero(~goes[group, row])
        hessian = problem.hessian[group][np.ix_(kept, kept)]
        found[group, row, kept] = np.linalg.solve(hessian, problem.target[group, row, kept])
    return found


def refit_work(goes: Goes) -> float:
    """Return about how many multiplications `refit` takes: a third of a cube for each row."""
    kept = (~goes).sum(axis=2, dtype=np.float64)
    return float((kept**3).sum() / 3)


def error(problem: Problem, weights: Matrix) -> float:
    """Return by how much the squared error of the outputs exceeds that of `problem.start`."""
    off = weights - problem.start
    return float(np.einsum("grc,gcd,grd->", off, problem.hessian, off, optimize=True))


def saliency(problem: Problem, weights: Matrix) -> Matrix:
    """Return w² / [H⁻¹]_jj: the error that is left when w alone goes (Hassibi & Stork 1993)."""
    diagonal = np.einsum("gii->gi", np.linalg.inv(problem.hessian))
    scores: Matrix = weights**2 / diagonal[:, None]
    scores[np.broadcast_to(problem.dead[:, None], scores.shape)] = 0
    return scores
