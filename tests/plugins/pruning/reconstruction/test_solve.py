"""Block OBS against the published loop and against trying every mask."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from onnxpress.data.batch import Array
from onnxpress_pruning.reconstruction.choices import Choice, Given, NOfM, Share
from onnxpress_pruning.reconstruction.moments import Moments
from onnxpress_pruning.reconstruction.solve import (
    Problem,
    error,
    inverse_factor,
    refit,
    saliency,
    set_up,
    solve,
    sweep,
)


def _layer(rows: int, columns: int, groups: int = 1, samples: int = 400) -> tuple[Array, Moments]:
    """Make weights, and moments of inputs that are correlated."""
    rng = np.random.default_rng([rows, columns, groups])
    mix = rng.standard_normal((groups, columns, columns)) / columns**0.5 + np.eye(columns)
    x = mix @ rng.standard_normal((groups, columns, samples)) + 0.3
    sums = x.sum(axis=2)
    own = x @ x.swapaxes(1, 2)
    every = slice(0, columns)
    moments = Moments(every, every, own, own, sums, sums, samples)
    return rng.standard_normal((groups, rows, columns)), moments


def _problem(rows: int, columns: int, groups: int = 1) -> tuple[Array, Problem]:
    weights, moments = _layer(rows, columns, groups)
    return weights, set_up(weights, weights, moments)


def _published(weights: Array, own: Array, sparsity: float, n: int = 0, m: int = 0) -> Array:
    """SparseGPT's loop (IST-DASLab/sparsegpt, fasterprune), in numpy, for blocks of 128."""
    w, h, columns = weights.copy(), own.copy(), weights.shape[1]
    dead = np.diag(h) == 0
    h[dead, dead] = 1
    w[:, dead] = 0
    h[np.diag_indices(columns)] += 0.01 * np.mean(np.diag(h))
    hinv = np.linalg.cholesky(np.linalg.inv(h)).T
    for i1 in range(0, columns, 128):
        i2 = min(i1 + 128, columns)
        w1, err1, hinv1 = w[:, i1:i2].copy(), np.zeros((len(w), i2 - i1)), hinv[i1:i2, i1:i2]
        mask1 = np.zeros_like(w1) == 1
        if n == 0:
            tmp = w1**2 / np.diag(hinv1) ** 2
            mask1 = tmp <= np.sort(tmp.flatten())[int(tmp.size * sparsity)]
        for i in range(i2 - i1):
            if n != 0 and i % m == 0:
                tmp = w1[:, i : i + m] ** 2 / np.diag(hinv1)[i : i + m] ** 2
                lowest = i + np.argsort(tmp, axis=1)[:, :n]
                np.put_along_axis(mask1, lowest, values=True, axis=1)
            q = w1[:, i].copy()
            q[mask1[:, i]] = 0
            err = (w1[:, i] - q) / hinv1[i, i]
            w1[:, i:] -= np.outer(err, hinv1[i, i:])
            w1[:, i], err1[:, i] = q, err
        w[:, i1:i2] = w1
        w[:, i2:] -= err1 @ hinv[i1:i2, i2:]
    return w


def test_a_share_of_each_block_goes_as_published() -> None:
    weights, moments = _layer(6, 300)
    none = np.zeros(weights.shape, bool)
    found, goes = sweep(set_up(weights, weights, moments), Share(0.5), none)
    # The published threshold is that of the next weight, and takes it too: ask for one less.
    less = 0.5 - 0.5 / (6 * 128)
    wanted = _published(weights[0], moments.own[0], less)
    assert_array_equal(goes[0], wanted == 0)
    assert_allclose(found[0], wanted, rtol=1e-6, atol=1e-9)
    assert goes.sum() == 900


@pytest.mark.parametrize(("keep", "of"), [(2, 4), (1, 4), (4, 8)])
def test_n_of_m_goes_as_published(keep: int, of: int) -> None:
    weights, moments = _layer(5, 160)
    none = np.zeros(weights.shape, bool)
    found, goes = sweep(set_up(weights, weights, moments), NOfM(keep, of, 160), none)
    wanted = _published(weights[0], moments.own[0], 0, of - keep, of)
    assert_array_equal(goes[0], wanted == 0)
    assert_allclose(found[0], wanted, rtol=1e-6, atol=1e-9)


def test_groups_do_not_meet() -> None:
    weights, moments = _layer(3, 20, groups=2)
    mask = np.random.default_rng(0).random(weights.shape) < 0.5
    together, _ = sweep(set_up(weights, weights, moments), Given(mask), mask)
    for group in range(2):
        pick = slice(group, group + 1)
        own, sums = moments.own[pick], moments.sum_now[pick]
        alone = Moments(moments.columns, moments.columns, own, own, sums, sums, 400)
        here = set_up(weights[pick], weights[pick], alone)
        found, _ = sweep(here, Given(mask[pick]), mask[pick])
        assert_allclose(together[pick], found, rtol=1e-9)


def test_the_factor_is_of_the_inverse() -> None:
    _, problem = _problem(1, 12)
    factor = inverse_factor(problem.hessian)[0]
    assert_allclose(factor.T @ factor @ problem.hessian[0], np.eye(12), atol=1e-9)
    assert_array_equal(factor, np.triu(factor))


def test_a_score_is_the_error_that_is_left_when_one_weight_goes() -> None:
    weights, problem = _problem(2, 7)
    scores = saliency(problem, weights)
    for row, column in np.ndindex(2, 7):
        goes = np.zeros(weights.shape, bool)
        goes[0, row, column] = True
        left = error(problem, refit(problem, goes))
        assert left == pytest.approx(scores[0, row, column], rel=1e-8)


def test_one_weight_of_a_row_goes_as_exact_obs_says() -> None:
    weights, problem = _problem(1, 9)
    best = np.argmin(saliency(problem, weights))
    masks = [np.arange(9) == column for column in range(9)]
    errors = [error(problem, refit(problem, mask.reshape(1, 1, 9))) for mask in masks]
    assert best == np.argmin(errors)
    # The update of optimal brain surgeon: - w_q / [H⁻¹]_qq · H⁻¹ e_q.
    inverse = np.linalg.inv(problem.hessian[0])
    updated = weights[0, 0] - weights[0, 0, best] / inverse[best, best] * inverse[best]
    assert_allclose(refit(problem, masks[best].reshape(1, 1, 9))[0, 0], updated, atol=1e-10)


def test_the_weights_that_stay_are_the_best_there_are() -> None:
    """Least squares on the samples themselves, with the ridge as more samples."""
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((8, 60)), rng.standard_normal((1, 1, 8))
    own = (x @ x.T)[None]
    every, sums = slice(0, 8), x.sum(axis=1)[None]
    problem = set_up(w, w, Moments(every, every, own, own, sums, sums, 60))
    ridge = np.sqrt(0.01 * np.mean(np.diag(own[0]))) * np.eye(8)
    goes = np.array([[[True, False, False, True, True, False, True, False]]])
    more = np.concatenate([x, ridge], axis=1)
    kept = ~goes[0, 0]
    wanted = np.linalg.lstsq(more[kept].T, more.T @ w[0, 0], rcond=None)[0]
    assert_allclose(refit(problem, goes)[0, 0, kept], wanted, rtol=1e-8)


def test_no_mask_of_a_row_is_much_better_than_what_is_chosen() -> None:
    """Of all ways to take 4 of 8, the sweep finds one that is close to the best."""
    ratios = []
    for row in range(12):
        _, problem = _problem(1, 8)
        weights = np.random.default_rng(row).standard_normal((1, 1, 8))
        problem = Problem(problem.hessian, weights @ problem.hessian, weights, problem.dead)
        found, goes = solve(problem, Share(0.5), np.zeros(weights.shape, bool))
        assert goes.sum() == 4
        errors = [
            error(problem, refit(problem, np.isin(np.arange(8), list(gone)).reshape(1, 1, 8)))
            for gone in combinations(range(8), 4)
        ]
        ratios.append(error(problem, found) / min(errors))
    assert min(ratios) == pytest.approx(1)
    assert np.median(ratios) < 1.5


@pytest.mark.parametrize("choice", [Share(0.6), Share(0.3), NOfM(2, 4, 10), Given()])
def test_zeros_stay_and_count(choice: Choice) -> None:
    weights, moments = _layer(4, 30)
    zero = np.random.default_rng(1).random(weights.shape) < 0.4
    weights[zero] = 0
    problem = set_up(weights, weights, moments)
    found, goes = solve(problem, choice, zero)
    assert goes[zero].all()
    assert not found[goes].any()
    if choice == Share(0.6):
        assert goes.sum() == 72


def test_the_last_of_m_count_as_if_zeros_followed() -> None:
    weights, problem = _problem(3, 20)
    _, goes = solve(problem, NOfM(2, 4, 10), np.zeros(weights.shape, bool))
    left = (~goes[0]).reshape(3, 2, 10)
    assert_array_equal(left[..., :4].sum(-1), 2)
    assert_array_equal(left[..., 4:8].sum(-1), 2)
    assert left[..., 8:].all()


def test_dead_inputs_go_first_and_change_nothing() -> None:
    weights, moments = _layer(2, 12)
    moments.own[0, 5], moments.own[0, :, 5] = 0, 0
    problem = set_up(weights, weights, moments)
    found, goes = solve(problem, Share(1 / 12), np.zeros(weights.shape, bool))
    assert goes[..., 5].all()
    assert goes.sum() == 2
    assert_allclose(found[~goes], weights[~goes], rtol=1e-8)


def test_a_share_is_exact_over_parts_of_a_wide_layer() -> None:
    scores = np.random.default_rng(0).random((1, 3, 21))
    parts = [slice(0, 10), slice(10, 21)]
    share = Share(0.45)
    gone = [
        share.within(p).goes(scores[..., p], slice(0, p.stop - p.start), 0).sum() for p in parts
    ]
    assert sum(gone) == round(0.45 * 63)


def test_blocks_do_not_matter() -> None:
    weights, problem = _problem(3, 40)
    mask = np.random.default_rng(0).random(weights.shape) < 0.5
    none = np.zeros(weights.shape, bool)
    small, _ = sweep(problem, Given(mask), none, block=4)
    large, _ = sweep(problem, Given(mask), none, block=1000)
    assert_allclose(small, large, rtol=1e-9, atol=1e-12)
