"""Over what a share is taken: bounds, what remains, one output at a time."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from onnxpress.data.batch import Array
from onnxpress.job import Job
from onnxpress_pruning import MagnitudePruning
from onnxpress_pruning.criteria.criterion import Criterion, ElementScores, Subject
from onnxpress_pruning.criteria.weights import floats
from onnxpress_pruning.structures.parts import Distribution
from onnxpress_pruning.structures.unstructured import Unstructured
from onnxpress_pruning.targets import Target
from tests.plugins.pruning.models import products, pruned, weights_of, zeros


def two() -> Any:
    small = np.arange(1, 11, dtype=np.float32)[None]
    return products(small=small, large=small * 100)


def reported(model: Any, **options: Any) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the weights, and the bounds that were reported, by layer."""
    job = Job()
    after = weights_of(MagnitudePruning(**options).apply(model, job))
    return after, {c.subject: c.details.get("bound", "") for c in job.changed}


def test_a_bound_holds_for_each_tensor_in_global_scope() -> None:
    after, bounds = reported(two(), scope="global", sparsity=0.5, at_most=0.7)
    assert {name: zeros(array) for name, array in after.items()} == {"small": 7, "large": 3}
    assert bounds == {"use_small": "at most 0.7 of a tensor may be zero", "use_large": ""}


def test_a_bound_below_the_share_holds_in_layer_scope_too() -> None:
    after, bounds = reported(two(), sparsity=0.9, at_most=0.4)
    assert {name: zeros(array) for name, array in after.items()} == {"small": 4, "large": 4}
    assert set(bounds.values()) == {"at most 0.4 of a tensor may be zero"}


def test_a_share_that_would_empty_a_layer_names_the_bound() -> None:
    _, bounds = reported(products(w=np.arange(1, 6, dtype=np.float32)[None]), sparsity=0.95)
    assert bounds == {"use_w": "a tensor keeps at least one weight"}


def test_what_a_bound_holds_back_says_so() -> None:
    model = products(w=np.array([[0, 0, 3, 4]], np.float32))
    job = Job()
    MagnitudePruning(sparsity=0.75, at_most=0.5).apply(model, job)
    assert [d.reason for d in job.declined] == ["w: at most 0.5 of a tensor may be zero"]


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_a_share_of_what_remains(scope: str) -> None:
    model = two()
    left = []
    for _ in range(4):
        step = MagnitudePruning(sparsity=0.2, of="remaining", scope=scope)  # type: ignore[arg-type]
        model = step.apply(model, Job())
        left.append(sum(int(np.count_nonzero(a)) for a in weights_of(model).values()))
    assert left == ([16, 12, 10, 8] if scope == "layer" else [16, 13, 10, 8])


def test_bounds_and_shares_of_what_remains_against_a_sort() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        arrays = {
            n: rng.integers(-9, 10, (6, 9)).astype(np.float32) * 3**i for i, n in enumerate("abc")
        }
        at_most, sparsity = rng.uniform(0.3, 1), rng.uniform(0, 1)
        after = pruned(products(**arrays), scope="global", sparsity=sparsity, at_most=at_most)
        bound = max(0, min(53, round(at_most * 54)))
        was = {n: zeros(a) for n, a in arrays.items()}
        now = {n: zeros(a) for n, a in after.items()}
        assert all(now[n] <= max(bound, was[n]) for n in now)
        wanted = round(sparsity * 162)
        reachable = sum(max(bound, was[n]) for n in now)
        assert sum(now.values()) == min(max(wanted, sum(was.values())), reachable)
        gone = [abs(arrays[n][(after[n] == 0)]).max() for n in now if now[n] > was[n]]
        stay = [abs(after[n][after[n] != 0]).min() for n in now if now[n] < bound]
        assert not gone or not stay or max(gone) <= min(stay)


def test_structures_give_masks_for_any_share_again_and_again() -> None:
    model = two()
    targets = [Target(layer, layer.weight, 0.5) for layer in model.layers]

    def scores(weight: Any) -> Array:
        return np.abs(floats(weight))

    structure = Unstructured(Distribution("global"))
    counts = [sum(int(m.sum()) for m in structure.masks(targets, scores, s)) for s in (0.1, 0.35)]
    assert counts == [2, 7]
    assert [int(m.sum()) for m in structure.masks(targets, scores)] == [9, 1]


class ByOutput(Criterion):
    """Magnitudes, compared within one output."""

    name: ClassVar[str] = "by-output"
    within: ClassVar = "output"

    def elements(self, subject: Subject) -> ElementScores:
        del subject
        return lambda weight: np.abs(floats(weight))


def by_output(**options: Any) -> Any:
    """Return a step with a criterion that compares within one output."""
    return MagnitudePruning(criterion=ByOutput(), **options)


def test_every_output_loses_the_same_share() -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((10, 4)).astype(np.float32) * [1, 10, 100, 1000]
    model = products(w=weight.astype(np.float32))
    after = weights_of(by_output(sparsity=0.3).apply(model, Job()))["w"]
    for column, before in zip(after.T, weight.T, strict=True):
        lowest = np.argsort(np.abs(before))[:3]
        assert sorted(np.flatnonzero(column == 0)) == sorted(lowest)


def test_every_output_keeps_a_weight_and_says_so() -> None:
    job = Job()
    model = products(w=np.arange(1, 9, dtype=np.float32).reshape(4, 2))
    after = weights_of(by_output(sparsity=0.95).apply(model, job))["w"]
    assert after.tolist() == [[0, 0], [0, 0], [0, 0], [7, 8]]
    assert job.changed[0].details["bound"] == "an output channel keeps at least one weight"


def test_an_output_of_few_weights_says_why_none_goes() -> None:
    job = Job()
    by_output(sparsity=0.1).apply(products(w=np.ones((4, 2), np.float32)), job)
    expected = "w: sparsity 0.1 of the 4 weights of an output rounds to none"
    assert [d.reason for d in job.declined] == [expected]


def test_outputs_lose_a_share_of_what_remains() -> None:
    weight = np.array([[1, 0, 3, 4, 5], [1, 2, 3, 4, 5]], np.float32).T
    after = weights_of(by_output(sparsity=0.5, of="remaining").apply(products(w=weight), Job()))
    assert after["w"].T.tolist() == [[0, 0, 0, 4, 5], [0, 0, 3, 4, 5]]
