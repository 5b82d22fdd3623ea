"""Criteria that look at the weights alone, and the way from single weights to channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from onnxpress.channels import Group, Member
from onnxpress.data.batch import Array
from onnxpress.errors import OptionError, UnknownNameError, UsageError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress.plugins import Plugins
from onnxpress.recipe.steps import make_step, to_table
from onnxpress.testing import model_from_text
from onnxpress_pruning import MagnitudePruning
from onnxpress_pruning.criteria.criterion import Subject
from onnxpress_pruning.criteria.known import MAGNITUDE, SALIENCY, Kinds, make_magnitude
from tests.plugins.pruning.models import products, pruned, weights_of, zeros


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def subject(model: Model, seed: int = 0) -> Subject:
    return Subject(model, tuple(layer.weight for layer in model.layers), Job(seed=seed))


def element_scores(criterion: Any, model: Model, seed: int = 0) -> dict[str, Array]:
    asked = subject(model, seed)
    scores = make_magnitude(criterion).elements(asked)
    return {weight.name: scores(weight) for weight in asked.targets}


# Single weights.


def test_l1_and_l2_choose_the_same_single_weights_and_other_blocks() -> None:
    model = products(w=np.array([[3, 3, 0.1, 4.5]], np.float32).T)
    for sparsity in (0.25, 0.5, 0.75):
        one, two = (pruned(model, criterion=c, sparsity=sparsity)["w"] for c in ("l1", "l2"))
        assert np.array_equal(one, two)
    blocks = {"structure": "block", "block": "1x2"}  # sums 6 and 4.6, squares 18 and 20.26
    assert pruned(model, criterion="l1", **blocks)["w"].ravel().tolist()[2:] == [0, 0]
    assert pruned(model, criterion="l2", **blocks)["w"].ravel().tolist()[:2] == [0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_lamp_is_the_formula_of_the_paper(seed: int) -> None:
    weight = normal(5, 7, seed=seed)
    (scores,) = element_scores("lamp", products(w=weight)).values()
    squares = weight.astype(float) ** 2
    expected = [[s / squares[squares >= s].sum() for s in row] for row in squares]
    assert np.allclose(scores, expected, rtol=1e-6)
    assert scores.max() == 1


def test_lamp_scores_do_not_overflow_nor_vanish() -> None:
    for scale in (1e-30, 1e30):
        (scores,) = element_scores("lamp", products(w=normal(5, 7) * np.float32(scale))).values()
        assert np.isfinite(scores).all()
        assert len(np.unique(scores)) == 35
    (nothing,) = element_scores("lamp", products(w=np.zeros((2, 2), np.float32))).values()
    assert not nothing.any()


def test_lamp_ranks_all_tensors_together_and_spares_the_small_scale() -> None:
    model = products(a=normal(20, 20), b=normal(20, 20) * np.float32(0.01))
    after = pruned(model, criterion="lamp", sparsity=0.5)
    assert {n: zeros(a) for n, a in after.items()} == {"a": 200, "b": 200}  # scale cancels
    magnitudes = pruned(model, scope="global", sparsity=0.5)
    assert zeros(magnitudes["b"]) > 390


def test_lamp_equals_a_sort_of_its_scores() -> None:
    model = products(a=normal(20, 20), b=normal(9, 11, seed=1), c=normal(3, 4, seed=2))
    scores = element_scores("lamp", model)
    after = pruned(model, criterion="lamp", sparsity=0.7)
    cut = np.sort(np.concatenate([s.ravel() for s in scores.values()]))[round(0.7 * 511) - 1]
    for name, array in after.items():
        assert np.array_equal(array == 0, scores[name] <= cut)


def test_equal_weights_have_equal_lamp_scores() -> None:
    weight = np.array([[2, -2, 1, 1, 3, 0]], np.float32)
    (scores,) = element_scores("lamp", products(w=weight)).values()
    expected = [4 / 17, 4 / 17, 1 / 19, 1 / 19, 1, 0]
    assert np.allclose(scores, [expected], rtol=1e-6)


def test_random_follows_the_seed_and_the_name() -> None:
    model = products(a=np.ones((9, 9), np.float32), b=np.ones((9, 9), np.float32))
    first, again, other = (
        weights_of(MagnitudePruning(criterion="random").apply(model, Job(seed=seed)))
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first["a"], again["a"])
    assert not np.array_equal(first["a"], other["a"])
    assert not np.array_equal(first["a"], first["b"])
    assert zeros(first["a"]) == zeros(other["a"]) == 40


# Scores of one's own.


def test_scores_come_from_a_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "scores.npz", w=[[4, 1, -3, 2]])
    model = products(w=np.ones((1, 4), np.float32))
    step = MagnitudePruning(criterion=f"given:scores={tmp_path / 'scores.npz'}")
    assert weights_of(step.apply(model, Job()))["w"].tolist() == [[1, 0, 1, 0]]
    assert to_table(step)["criterion"] == {"use": "given", "scores": str(tmp_path / "scores.npz")}
    assert make_step(to_table(step), Plugins.discover()) == step


@pytest.mark.parametrize(
    ("scores", "error", "says"),
    [
        ({"v": [[1.0, 2]]}, UnknownNameError, "no weight to score called 'v'.*'w'|known: w"),
        ({"w": [1.0, 2]}, OptionError, r"shape \(2,\).*shape \(1, 2\)"),
        ({"w": [["a", "b"]]}, OptionError, "one real number"),
        (Path("nowhere.npz"), UsageError, "no file nowhere.npz to read scores from"),
    ],
)
def test_scores_that_can_not_be_used(scores: Any, error: type[Exception], says: str) -> None:
    model = products(w=np.ones((1, 2), np.float32))
    with pytest.raises(error, match=says):
        pruned(model, criterion={"use": "given", "scores": scores})


def test_an_unknown_criterion_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'lamp'"):
        MagnitudePruning(criterion="lmap")


@pytest.mark.parametrize("criterion", ["fpgm", "bn-scale"])
def test_what_ranks_channels_ranks_no_single_weights(criterion: str) -> None:
    with pytest.raises(ValidationError, match="ranks whole channels"):
        MagnitudePruning(criterion=criterion)
    with pytest.raises(OptionError, match="structure=channel"):
        make_magnitude(criterion).elements(subject(products(w=normal(2, 2))))


# Channels.

NETWORK = """g (float[N,1,9,9] x) => (float[N,M,5,5] y) {
    c = Conv(x, first)
    n = BatchNormalization(c, scale, shift, mean, var)
    y = Conv(n, second)
}"""


def network(first: Array, second: Array, scale: Any = None) -> Model:
    """Return Conv, BatchNormalization, Conv."""
    size = first.shape[0]
    ones = np.ones(size, np.float32)
    return model_from_text(
        NETWORK,
        first=first.astype(np.float32),
        second=second.astype(np.float32),
        scale=ones if scale is None else np.array(scale, np.float32),
        shift=ones,
        mean=ones,
        var=ones,
    )


def group(size: int, *members: tuple[str, int, str]) -> Group:
    """Return a group whose channels lie one after the other on each axis given."""
    at = np.arange(size)
    sides = [Member(tensor, axis, at, tensor, side) for tensor, axis, side in members]  # type: ignore[arg-type]
    return Group("g", size, tuple(sides), ())


BETWEEN = (("first", 0, "output"), ("scale", 0, "output"), ("second", 1, "input"))


def channel_scores(criterion: str, model: Model, of: Group, job: Job | None = None) -> Array:
    asked = Subject(model, tuple(layer.weight for layer in model.layers), job or Job(seed=3))
    return make_magnitude(criterion).channels(asked, [of])(of)


@pytest.mark.parametrize(("criterion", "power"), [("l1", 1), ("l2", 2)])
def test_channels_add_up_the_slices_of_every_tensor_as_torch_pruning_does(
    criterion: str, power: int
) -> None:
    first, second, scale = normal(6, 1, 3, 3), normal(4, 6, 3, 3, seed=1), normal(6, seed=2)
    scores = channel_scores(criterion, network(first, second, scale), group(6, *BETWEEN))
    local = [
        (np.abs(first) ** power).sum(axis=(1, 2, 3)),
        np.abs(scale) ** power,
        (np.abs(second) ** power).sum(axis=(0, 2, 3)),
    ]
    expected = np.mean(local, axis=0)
    assert np.allclose(scores, expected / expected.mean(), rtol=1e-6)


def test_channels_may_lie_scattered_on_an_axis() -> None:
    first, second = normal(6, 1, 3, 3), normal(4, 6, 3, 3, seed=1)
    at = np.array([1, -1, 0, 1, -1, 0])
    scattered = Group("g", 2, (Member("first", 0, at, "first", "output"),), ())
    scores = channel_scores("l1", network(first, second), scattered)
    sums = np.abs(first).sum(axis=(1, 2, 3))
    expected = np.array([sums[2] + sums[5], sums[0] + sums[3]])
    assert np.allclose(scores, expected / expected.mean(), rtol=1e-6)


def test_random_channels_follow_the_seed() -> None:
    model, of = network(normal(6, 1, 3, 3), normal(4, 6, 3, 3)), group(6, *BETWEEN)
    one, same, other = (channel_scores("random", model, of, Job(seed=s)) for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_fpgm_prunes_what_is_close_to_all_others() -> None:
    first = np.ones((3, 1, 3, 3)) * np.reshape([3, 2, 0.1], (3, 1, 1, 1))
    second = np.ones((4, 3, 3, 3)) * np.reshape([6, 7, 0.4, 0.5], (4, 1, 1, 1))
    model = network(first, second)
    scores = channel_scores("fpgm", model, group(3, *BETWEEN))
    assert np.allclose(scores * 11.6, [11.7, 8.7, 14.4], rtol=1e-6)  # 61: the mean is 11.6
    last = channel_scores("fpgm", model, group(4, ("second", 0, "output")))
    assert sorted(np.argsort(last)[2:].tolist()) == [1, 2]  # keeps 7.0 and 0.4
    two_and_fifth = np.array([62.87, 62.87])
    ratio = last[[0, 3]] / last[1]
    assert np.allclose(ratio[0], ratio[1], rtol=1e-6)
    distances = np.sqrt(27) * np.array([1 + 5.6 + 5.5, 1 + 6.6 + 6.5, 5.6 + 6.6 + 0.1, 12.1])
    assert np.allclose(last * distances.mean(), distances, rtol=1e-6)
    assert np.allclose(distances[[0, 3]], two_and_fifth, atol=0.01)


def test_bn_scale_is_the_magnitude_of_the_scale() -> None:
    model = network(normal(3, 1, 3, 3), normal(4, 3, 3, 3), [-2, 0.5, 1])
    assert channel_scores("bn-scale", model, group(3, *BETWEEN)).tolist() == [2, 0.5, 1]


def test_channels_that_nothing_normalises_are_left_alone() -> None:
    job = Job()
    model = network(normal(3, 1, 3, 3), normal(4, 3, 3, 3))
    scores = channel_scores("bn-scale", model, group(4, ("second", 0, "output")), job)
    assert scores.tolist() == [np.inf] * 4
    assert [d.reason for d in job.declined] == ["no normalisation scales these channels"]


@pytest.mark.parametrize("kinds", [MAGNITUDE, SALIENCY], ids=["magnitude", "saliency"])
def test_every_criterion_is_where_it_is_said_to_be(kinds: Kinds) -> None:
    assert {name: kind.name for name, kind in kinds.items()} == {name: name for name in kinds}
    assert all(kind.__doc__ for kind in kinds.values())
