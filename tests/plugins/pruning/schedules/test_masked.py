"""Schedules that change masks while a model is trained: what each does on the way."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from onnxpress import Job, Model
from onnxpress.data import open_data
from onnxpress.data.batch import Array
from onnxpress.training.masking import Moment
from onnxpress_pruning import MagnitudePruning
from onnxpress_pruning.schedules.gradual import Polynomial
from onnxpress_pruning.schedules.rigl import dropped_and_grown
from onnxpress_pruning.schedules.shares import erdos_renyi_kernel, polynomial
from onnxpress_pruning.schedules.surgery import spliced, splicing_threshold
from tests.core.training.fitting import weights
from tests.core.training.nets import mlp, samples

SIZES = {"w1": 48, "w2": 24}
TRAIN: dict[str, Any] = {"epochs": 5, "batch": 8, "lr": 0.05, "threads": 1}  # 25 updates


class Seen(list[tuple[int, dict[str, Array], dict[str, Array]]]):
    """At which update masks were set, to what, and what the weights were before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        original = Moment.set_masks

        def set_masks(moment: Moment, kept: Mapping[str, Array]) -> None:
            before = {name: moment.weight(name) for name in kept}
            self.append((moment.updates, dict(kept), before))
            original(moment, kept)

        monkeypatch.setattr(Moment, "set_masks", set_masks)

    def shares(self, name: str) -> list[float]:
        return [int((~kept[name]).sum()) / kept[name].size for _, kept, _ in self]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(monkeypatch)


def pruned(schedule: Any, model: Model | None = None, **options: Any) -> tuple[Model, Job]:
    model = mlp() if model is None else model
    job = Job(open_data(samples(), model))
    given = {"sparsity": 0.75, "train": TRAIN, **options, "schedule": schedule}
    return MagnitudePruning.model_validate(given).apply(model, job), job


def test_polynomial_follows_its_curve_and_never_gives_a_weight_back(seen: Seen) -> None:
    schedule = Polynomial(initial=0.25, begin=3, end=15, frequency=4)
    model, job = pruned(schedule)
    assert [updates for updates, _, _ in seen] == [3, 7, 11, 15]
    for name, size in SIZES.items():
        wanted = [polynomial(step, 3, 15, 0.25, 0.75) for step in (3, 7, 11, 15)]
        assert seen.shares(name) == [round(share * size) / size for share in wanted]
        masks = [kept[name] for _, kept, _ in seen]
        assert all((later <= earlier).all() for earlier, later in itertools.pairwise(masks))
        np.testing.assert_array_equal(weights(model)[name] != 0, masks[-1])
    assert job.summary.startswith("75.0% of 72 weights zero, 5 epochs, loss")
    (kernel,) = (c for c in job.changed if c.details.get("weight") == "w1")
    assert dict(kernel.details) == {"weight": "w1", "sparsity": 0.75, "zeros": 36, "of": 48}


def test_the_smallest_weights_of_the_moment_go(seen: Seen) -> None:
    pruned("polynomial:end=10,frequency=5")
    for _, kept, before in seen:
        for name, mask in kept.items():
            gone = np.abs(before[name][~mask])
            assert gone.size == 0 or gone.max() <= np.abs(before[name][mask]).min()


def test_with_regrow_weights_come_back(seen: Seen) -> None:
    pruned("polynomial:end=20,frequency=1,regrow=true", train={**TRAIN, "lr": 0.2})
    masks = [kept["w1"] for _, kept, _ in seen]
    came_back = [(later & ~earlier).any() for earlier, later in itertools.pairwise(masks)]
    assert any(came_back)
    assert seen.shares("w1")[-1] == 0.75


def test_what_was_pruned_before_stays_so(seen: Seen) -> None:
    before, _ = pruned("one-shot", sparsity=0.5, train=None)
    after, _ = pruned("polynomial:initial=0.1,end=10", before, sparsity=0.6)
    zero = weights(before)["w1"] == 0
    assert (weights(after)["w1"][zero] == 0).all()
    assert all(not kept["w1"][zero].any() for _, kept, _ in seen)


def test_layers_that_are_not_trained_are_declined() -> None:
    model, job = pruned("polynomial", train={**TRAIN, "train_layers": ["y"]})
    np.testing.assert_array_equal(weights(model)["w1"], weights(mlp())["w1"])
    assert (weights(model)["w2"] == 0).sum() == 18
    assert [(d.subject, d.reason) for d in job.declined] == [
        ("a", "w1 is not trained, so this schedule leaves it")
    ]


def test_a_budget_is_kept_in_the_end() -> None:
    given = {"parameters": 30, "train": TRAIN, "schedule": "polynomial", "scope": "global"}
    job = Job(open_data(samples(), mlp()))
    after = weights(MagnitudePruning.model_validate(given).apply(mlp(), job))
    assert sum(np.count_nonzero(array) for array in after.values()) <= 30


def test_no_epoch_before_the_end_is_returned() -> None:
    options = {**TRAIN, "holdout": 0.2, "lr": 3.0}
    model, _ = pruned("polynomial:end=14", train=options)
    assert (weights(model)["w1"] == 0).mean() == 0.75


def test_splicing_as_in_distiller() -> None:
    """ANCESTORS D13, by hand: mean 2, deviation 1 (n - 1)."""
    start = np.array([1.0, -2.0, 3.0])
    assert splicing_threshold(start, 0.5) == 2.5
    now = np.array([2.2, -2.3, 2.7, -2.8, 0.0])
    mask = np.array([True, False, False, True, True])
    new = spliced(now, mask, 2.5, 0.9, 1.1)
    assert new.tolist() == [False, False, False, True, False]
    assert spliced(-now, ~mask, 2.5, 0.9, 1.1).tolist() == [False, True, True, True, False]


def test_surgery_by_sensitivity_goes_by_thresholds(seen: Seen) -> None:
    model, _ = pruned("surgery:sensitivity=0.2,frequency=1,end=20", train={**TRAIN, "lr": 0.2})
    start = weights(mlp())
    last = {name: np.ones(start[name].shape, bool) for name in SIZES}
    back = 0
    for _, kept, before in seen:
        for name, mask in kept.items():
            threshold = splicing_threshold(start[name], 0.2)
            assert not mask[np.abs(before[name]) < 0.9 * threshold].any()
            assert mask[np.abs(before[name]) >= 1.1 * threshold].all()
            back += int((mask & ~last[name]).sum())
            last[name] = mask
    assert back > 0
    assert all(((weights(model)[n] != 0) == last[n]).all() for n in SIZES)


def test_surgery_by_share_lets_weights_come_back(seen: Seen) -> None:
    pruned("surgery:frequency=1,end=20", train={**TRAIN, "lr": 0.2})
    masks = [kept["w1"] for _, kept, _ in seen]
    assert any((b & ~a).any() for a, b in itertools.pairwise(masks))


def test_movement_keeps_what_moves_away_from_zero(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores: list[dict[str, Array]] = []
    original = Moment.set_masks

    def set_masks(moment: Moment, kept: Mapping[str, Array]) -> None:
        scores.append({name: moment.score(name) for name in kept})
        original(moment, kept)

    monkeypatch.setattr(Moment, "set_masks", set_masks)
    pruned("movement:begin=10,end=11,initial=0.5")
    (_, kept, before), first = seen[0], scores[0]
    for name, mask in kept.items():
        assert first[name][mask].min() >= first[name][~mask].max()
        start = weights(mlp())[name]
        moved = np.sign(start) * (before[name] - start)  # so far nothing was masked
        assert moved[mask].mean() > moved[~mask].mean()
        size = np.abs(before[name])
        assert size[mask].min() < size[~mask].max()  # not by magnitude


def test_rigl_drops_the_smallest_and_grows_by_gradient() -> None:
    w = np.array([[5.0, -1.0, 0.0], [2.0, 0.0, 0.0]])
    g = np.array([[0.0, 9.0, 3.0], [0.0, -4.0, 1.0]])
    mask = w != 0
    # One of three goes: -1, whose gradient is the largest of all that are then free.
    assert dropped_and_grown(w, g, mask, 0.4).tolist() == mask.tolist()
    g[0, 1] = 2.0
    assert dropped_and_grown(w, g, mask, 0.4).tolist() == [[1, 0, 0], [1, 1, 0]]
    assert dropped_and_grown(w, g, mask, 0.7).tolist() == [[1, 0, 1], [0, 1, 0]]
    assert dropped_and_grown(w, g, mask, 0.3).tolist() == mask.tolist()
    full = np.ones_like(mask)
    assert dropped_and_grown(w, g, full, 0.5).all()


def test_rigl_is_as_sparse_all_the_time_and_stops(seen: Seen) -> None:
    model, _ = pruned("rigl:frequency=3")
    assert [updates for updates, _, _ in seen] == [3, 6, 9, 12, 15, 18]  # of 25; 0.75 is 19
    wanted = erdos_renyi_kernel([(6, 8), (8, 3)], 0.75)
    for (name, size), share in zip(SIZES.items(), wanted, strict=True):
        assert seen.shares(name) == [round(share * size) / size] * 6
    masks = [kept["w1"] for _, kept, _ in seen]
    assert any((a != b).any() for a, b in itertools.pairwise(masks))
    np.testing.assert_array_equal(weights(model)["w1"][~masks[-1]], 0)
    assert (weights(model)["w1"][masks[-1] & ~masks[0]] != 0).any()


def test_rigl_may_begin_with_random_masks() -> None:
    model, _ = pruned("rigl:distribution=uniform", criterion="random")
    assert all((weights(model)[name] == 0).mean() == 0.75 for name in SIZES)
