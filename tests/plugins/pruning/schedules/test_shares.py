"""The curves, as numbers: those of the ancestors' own tests, and published ones."""

from __future__ import annotations

import math

import pytest

from onnxpress_pruning.schedules.shares import (
    cosine_fraction,
    cubic,
    erdos_renyi_kernel,
    last_of_gradual,
    polynomial,
    remaining,
    rounds_to,
)


@pytest.mark.parametrize(("step", "share"), [(100, 0.2), (102, 0.4928), (105, 0.725), (110, 0.8)])
def test_polynomial_decay_of_tfmot(step: int, share: float) -> None:
    """FACTS 1."""
    assert polynomial(step, 100, 110, 0.2, 0.8, 3) == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize(("step", "share"), [(1, 0.2), (4, 0.6), (5, 0.6), (1000, 0.6), (0, 0.2)])
def test_polynomial_decay_stays_past_its_end(step: int, share: float) -> None:
    """FACTS 25."""
    assert polynomial(step, 1, 4, 0.2, 0.6) == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize(("epoch", "share"), [(0, 0.05), (2, 0.2095), (14, 0.75), (28, 0.85)])
def test_automated_gradual_pruner_of_distiller(epoch: int, share: float) -> None:
    """ANCESTORS D14: epochs 0 to 30, every 2."""
    last = last_of_gradual(0, 30, 2)
    assert last == 28
    assert polynomial(epoch, 0, last, 0.05, 0.85) == pytest.approx(share, abs=5e-5)


@pytest.mark.parametrize(
    ("step", "shares"),
    [(3, (0.1, 0.1)), (4, (0.2897, 0.1813)), (13, (0.8, 0.4)), (20, (0.8, 0.4))],
)
def test_cubic_of_torchao(step: int, shares: tuple[float, float]) -> None:
    """FACTS 57: t₀ 3, Δt 2, n 5, so that the end is 13."""
    for final, share in zip((0.8, 0.4), shares, strict=True):
        assert cubic(step, 3, 13, 0.1, final) == pytest.approx(share, abs=5e-5)


def test_cubic_before_it_begins() -> None:
    """FACTS 57: nothing where it is initially zero, else the initial share."""
    assert cubic(2, 3, 13, 0.1, 0.8, initially_zero=True) == 0
    assert cubic(2, 3, 13, 0.1, 0.8) == 0.1
    assert cubic(3, 3, 13, 0.1, 0.8, initially_zero=True) == 0.1


def test_a_span_without_length_is_over_at_once() -> None:
    assert polynomial(5, 5, 5, 0.1, 0.8) == 0.8
    assert polynomial(4, 5, 5, 0.1, 0.8) == 0.1


def test_each_round_of_a_lottery_prunes_a_part_of_what_is_left() -> None:
    assert remaining(3, 0.2, 0.5) == pytest.approx((0.2, 0.36, 0.5))
    assert rounds_to(0.2, 1 - 0.8**3) == 3
    assert rounds_to(0.2, 1 - 0.8**3 + 1e-4) == 4
    assert rounds_to(0.2, 0.1) == 1
    assert remaining(1, 0.2, 0.1) == (0.1,)


def test_what_rigl_replaces_falls_along_a_cosine() -> None:
    assert cosine_fraction(0, 100, 0.3) == pytest.approx(0.3)
    assert cosine_fraction(50, 100, 0.3) == pytest.approx(0.15)
    assert cosine_fraction(25, 100, 0.3) == pytest.approx(0.15 * (1 + math.sqrt(0.5)))
    assert cosine_fraction(100, 100, 0.3) == pytest.approx(0, abs=1e-12)


SHAPES = [(64, 3, 7, 7), (64, 64, 3, 3), (512, 512, 3, 3), (1000, 512)]


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.8, 0.9, 0.99])
def test_erdos_renyi_kernel(sparsity: float) -> None:
    found = erdos_renyi_kernel(SHAPES, sparsity)
    sizes = [math.prod(shape) for shape in SHAPES]
    zeros = sum(share * size for share, size in zip(found, sizes, strict=True))
    assert zeros == pytest.approx(sparsity * sum(sizes))
    assert all(0 <= share < 1 for share in found)
    free = [i for i, share in enumerate(found) if share > 0]
    scales = [(1 - found[i]) * sizes[i] / sum(SHAPES[i]) for i in free]
    assert scales == pytest.approx([scales[0]] * len(free))
    full = [i for i, share in enumerate(found) if share == 0]
    assert all(sum(SHAPES[i]) / sizes[i] * scales[0] > 1 for i in full)
