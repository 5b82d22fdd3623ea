"""The numbers that other systems expect, and the laws of exact counts."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from pydantic import ValidationError

from onnxpress.data.batch import Array
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress.session import Session
from onnxpress.testing import check_transform, model_from_text
from onnxpress_pruning import MagnitudePruning
from tests.plugins.pruning.models import products, pruned, weights_of, zeros


def row(*values: float) -> Array:
    return np.array([values], np.float32)


def reported(model: Model, **options: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a step says it changed and declined, by layer."""
    job = Job()
    MagnitudePruning(**options).apply(model, job)
    changed = {c.subject: dict(c.details) for c in job.changed}
    return changed, {d.subject: d.reason for d in job.declined}


# What other systems expect: numbers as in FACTS.md.


@pytest.mark.parametrize(("sparsity", "size", "expected"), [(0.4, 17, 7), (0.5, 5, 2), (0.5, 7, 4)])
def test_the_count_is_rounded_half_to_even(sparsity: float, size: int, expected: int) -> None:
    model = products(w=row(*range(1, size + 1)))
    assert zeros(pruned(model, sparsity=sparsity)["w"]) == expected  # 43: PyTorch


@pytest.mark.parametrize(("sparsity", "survivors"), [(0.9999, 1), (0.5, 50)])
def test_at_least_one_weight_survives(sparsity: float, survivors: int) -> None:
    model = products(w=np.linspace(1, 100, 100, dtype=np.float32)[None])
    assert np.count_nonzero(pruned(model, sparsity=sparsity)["w"]) == survivors  # 5: TFMOT


def test_a_rising_sequence_counts_the_zeros_that_are_there() -> None:
    model = products(w=np.linspace(1, 100, 100, dtype=np.float32)[None])
    left = []
    for sparsity in (0, 0.1, 0.1, 0.3, 0.3, 0.5, 0.5, 0.5, 0.5, 0.5):
        model = MagnitudePruning(sparsity=sparsity).apply(model, Job())
        left.append(np.count_nonzero(weights_of(model)["w"]))
    assert left == [100, 90, 90, 70, 70, 50, 50, 50, 50, 50]  # 7: TFMOT


def test_global_scope_prunes_the_smallest_of_all() -> None:
    model = products(a=np.array([[1, 2, 3, 4], [-4, -3, -2, -1]], np.float32), b=row(0, 0.1, -2))
    after = pruned(model, sparsity=4 / 11, scope="global")
    assert after["a"].tolist() == [[0, 2, 3, 4], [-4, -3, -2, 0]]  # 51: PyTorch
    assert after["b"].tolist() == [[0, 0, -2]]


def test_zeros_of_an_earlier_mask_count_as_pruned() -> None:
    masked = np.array([[1, 2, 3, 0], [1.5, 1.6, 0, 1.8]])
    after = pruned(products(w=masked), sparsity=0.5)["w"]
    assert after.tolist() == [[0, 2, 3, 0], [0, 1.6, 0, 1.8]]  # 53: PyTorch


# Laws.


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("seed", range(4))
def test_the_number_of_zeros_is_exact_with_ties_and_zeros(scope: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tensors = {
        f"w{i}": rng.integers(-4, 5, rng.integers(1, 30, 2)).astype(np.float32) for i in range(5)
    }
    sizes = [t.size for t in tensors.values()]
    for sparsity in (0.2, 0.5, 0.9):
        after = pruned(products(**tensors), sparsity=sparsity, scope=scope)
        for name, tensor in after.items():
            kept = tensor != 0
            assert (tensor[kept] == tensors[name][kept]).all(), "a weight that stays has its value"
            assert kept.any() or not tensors[name].any()
        if scope == "layer":
            for name, tensor in after.items():
                wanted = min(round(sparsity * tensor.size), tensor.size - 1)
                assert zeros(tensor) == max(wanted, zeros(tensors[name]))
        else:
            assert sum(map(zeros, after.values())) == round(sparsity * sum(sizes))


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_doing_it_again_changes_nothing_and_says_why(scope: str) -> None:
    rng = np.random.default_rng(1)
    model = products(**{n: rng.standard_normal((9, 7)).astype(np.float32) for n in "abc"})
    step = MagnitudePruning(sparsity=0.6, scope=scope)  # type: ignore[arg-type]
    once, job = step.apply(model, Job()), Job()
    again = step.apply(once, job)
    for name, tensor in weights_of(once).items():
        assert np.array_equal(weights_of(again)[name], tensor)
    assert not job.changed
    assert len(job.declined) == 3
    assert all("already" in declined.reason for declined in job.declined)


def test_of_equal_weights_the_first_goes_first() -> None:
    assert pruned(products(w=row(1, -1, 1, -1)), sparsity=0.5)["w"].tolist() == [[0, 0, 1, -1]]
    after = pruned(products(a=row(2, 1, 1), b=row(1, 2)), sparsity=0.4, scope="global")
    assert [after["a"].tolist(), after["b"].tolist()] == [[[2, 0, 0]], [[1, 2]]]


def test_global_scope_empties_no_tensor() -> None:
    model = products(small=row(0.1, 0.3, 0.2), large=row(5, 6, 7, 8, 9))
    after = pruned(model, sparsity=0.75, scope="global")
    assert after["small"].tolist() == [pytest.approx([0, 0.3, 0])]
    assert after["large"].tolist() == [[0, 0, 0, 0, 9]]  # the count stays exact: 6 of 8


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_every_floating_type_keeps_its_type(dtype: Any) -> None:
    weight = np.array([[1, -2, 3, -4], [0.5, 0.25, -8, 6]]).astype(dtype)
    after = pruned(products(w=weight), sparsity=0.5)["w"]
    assert after.dtype == weight.dtype
    assert after.astype(float).tolist() == [[0, 0, 3, -4], [0, 0, -8, 6]]


def test_doubles_are_ranked_as_doubles() -> None:
    near = 1 + 2**-40
    after = pruned(products(a=np.array([[near, 1]]), b=row(3, 4)), sparsity=0.25, scope="global")
    assert after["a"].tolist() == [[near, 0]]


# What is pruned where it lies.

NETWORK = """g (float[N,3,8,8] x) => (float[N,5] y) {
    c = Conv<pads=[1,1,1,1]>(x, w1, b1)
    n = BatchNormalization(c, s, t, m, v)
    a = GlobalAveragePool(n)
    f = Flatten(a)
    i = Identity(w2)
    t2 = Transpose(i)
    d = MatMul(f, t2)
    k = Constant<value_floats = [0.1, -0.2, 0.3, -0.4, 0.5]>()
    y = Add(d, k)
}"""


def network() -> Model:
    rng = np.random.default_rng(0)
    shapes = {"w1": (4, 3, 3, 3), "b1": (4,), "s": (4,), "t": (4,), "m": (4,), "w2": (5, 4)}
    arrays = {n: rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()}
    return model_from_text(NETWORK, **arrays, v=np.ones(4, np.float32))


def test_biases_and_normalisations_stay_unless_asked_for() -> None:
    model = network()
    before, after = weights_of(model), pruned(model)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"w1", "w2"}


def test_they_are_pruned_when_asked_for_but_never_statistics() -> None:
    model = network()
    before, after = weights_of(model), pruned(model, include_bias=True, include_norm=True)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"w1", "b1", "s", "t", "w2", "k"}


def test_a_normalisation_that_is_named_is_declined_with_the_way_out() -> None:
    changed, declined = reported(network(), layers="op:BatchNormalization")
    assert not changed
    assert [r for r in declined.values() if "include_norm" in r]


def test_figures_are_reported_for_every_tensor() -> None:
    changed, declined = reported(products(w=row(*range(1, 11))), sparsity=0.3)
    assert changed == {"use_w": {"weight": "w", "sparsity": 0.3, "zeros": 3, "of": 10}}
    assert not declined


def test_weights_inside_the_branches_of_an_if_are_pruned() -> None:
    model = model_from_text(
        """g (float[N,2] x, bool c) => (float[N,2] y) {
            y = If(c) <
                then_branch = t () => (float[N,2] a) <float[2,2] w = {1, -2, 3, -4}> {
                    a = MatMul(x, w)
                },
                else_branch = e () => (float[N,2] b) { b = Relu(x) }
            >
        }"""
    )
    result = MagnitudePruning(sparsity=0.5).apply(model, Job())
    feeds = {"x": np.eye(2, dtype=np.float32), "c": np.array(True)}  # noqa: FBT003
    assert Session(result).run(feeds)["y"].tolist() == [[0, 0], [3, -4]]


def test_both_matrices_of_a_recurrent_layer_are_pruned() -> None:
    rng = np.random.default_rng(0)
    shapes = {"w": (1, 24, 4), "r": (1, 24, 6), "b": (1, 48), "p": (1, 18)}
    model = model_from_text(
        """g (float[S,N,4] x) => (float[S,1,N,6] y) {
            y, h, c = LSTM<hidden_size=6>(x, w, r, b, , , , p)
        }""",
        **{n: rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()},
    )
    after = pruned(model, sparsity=0.25)
    assert {n: zeros(a) for n, a in after.items()} == {"w": 24, "r": 36, "b": 0, "p": 0}
    assert zeros(pruned(model, sparsity=0.5, include_bias=True)["p"]) == 9


def test_a_model_without_weights_stays_as_it_is() -> None:
    model = model_from_text("g (float[N] x) => (float[N] y) { y = Exp(x) }")
    assert MagnitudePruning().apply(model, Job()) is model
    assert reported(model)[1] == {
        "model": "no chosen layer has weights of which any share is to be zero"
    }


def test_it_keeps_the_laws_of_a_transform() -> None:
    check_transform(MagnitudePruning(sparsity=0.7, scope="global"), network())


# Bad options.


@pytest.mark.parametrize("sparsity", [1, 1.5, -0.1, float("nan"), "1"])
def test_a_sparsity_out_of_range_is_told_the_range(sparsity: Any) -> None:
    with pytest.raises(ValidationError, match=r"in \[0, 1\)"):
        MagnitudePruning(sparsity=sparsity)


def test_a_percentage_is_told_the_share() -> None:
    with pytest.raises(ValidationError, match=r"did you mean 0\.5\?"):
        MagnitudePruning(sparsity=50)


def test_global_scope_and_shares_of_layers_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="scope=layer"):
        MagnitudePruning(scope="global", sparsities={"a": 0.5})
