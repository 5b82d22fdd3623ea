"""Schedules that prune and train in turn: what each round starts from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onnxpress
from onnxpress import Job, Model
from onnxpress.data import open_data
from onnxpress.errors import OptionError
from onnxpress.graph.pruned import pruned_names
from onnxpress.training.options import Training
from onnxpress_pruning import MagnitudePruning
from onnxpress_pruning.schedules.lottery import Lottery, early_weights
from onnxpress_pruning.schedules.rounds import Iterative
from onnxpress_pruning.schedules.sparsity_learning import SparsityLearning
from tests.core.training.fitting import fitted, weights
from tests.core.training.nets import convnet, images, mlp, samples

TRAIN: dict[str, Any] = {"epochs": 2, "batch": 8, "lr": 0.05, "threads": 1}
STILL: dict[str, Any] = {**TRAIN, "lr": 1e-30}  # weights stay as they are


def step(schedule: Any, **options: Any) -> MagnitudePruning:
    given = {"sparsity": 0.75, "train": TRAIN, **options, "schedule": schedule}
    return MagnitudePruning.model_validate(given)


def pruned(schedule: Any, **options: Any) -> tuple[Model, Job]:
    job = Job(open_data(samples(), mlp()))
    return step(schedule, **options).apply(mlp(), job), job


def zeros(model: Model, name: str) -> int:
    return int((weights(model)[name] == 0).sum())


def test_one_shot_prunes_and_then_trains() -> None:
    once, _ = pruned("one-shot", train=None)
    trained, job = pruned("one-shot")
    np.testing.assert_array_equal(weights(trained)["w1"] == 0, weights(once)["w1"] == 0)
    assert job.summary.startswith("2 epochs, loss")


def test_rounds_grow_evenly_or_along_a_curve() -> None:
    even = [part.share for part in Iterative(rounds=3).parts(step("one-shot"))]
    assert even == pytest.approx([0.25, 0.5, 0.75])
    curve = [part.share for part in Iterative(rounds=3, power=3).parts(step("one-shot"))]
    assert curve == pytest.approx([0.75 * (1 - (2 / 3) ** 3), 0.75 * (1 - (1 / 3) ** 3), 0.75])


def test_shares_of_layers_and_budgets_are_divided_into_rounds() -> None:
    own = step("one-shot", sparsities={"y": 0.6})
    assert [part.sparsities["y"] for part in Iterative(rounds=2).parts(own)] == [0.3, 0.6]
    budget = MagnitudePruning(parameters=0.4)
    left = [part.parameters for part in Iterative(rounds=3).parts(budget)]
    assert left == pytest.approx([0.8, 0.6, 0.4])
    with pytest.raises(ValueError, match="give parameters as a share"):
        MagnitudePruning(parameters=40, schedule="iterative")


@pytest.mark.parametrize("amount", [{"sparsity": 0.5}, {"macs": 0.5}])
def test_parts_are_taken_out_in_rounds_of_what_is_left(amount: dict[str, float]) -> None:
    given = {"structure": "channel", "round_to": 1, "train": TRAIN, **amount}
    whole = MagnitudePruning.model_validate({**given, "schedule": "iterative:rounds=2"})
    rounds = list(Iterative(rounds=2).parts(whole))
    if "macs" in amount:
        assert [part.macs for part in rounds] == pytest.approx([0.75, 2 / 3])
    else:
        assert [part.share for part in rounds] == pytest.approx([0.25, 1 / 3])
    model, job = whole.apply(convnet(), Job(open_data(images(), convnet()))), images()
    assert weights(model)["w1"].shape[0] == 2  # of 4
    assert model.cost().macs < 0.6 * convnet().cost().macs
    assert set(model.run({"x": job["x"]})) == {"y"}


def test_only_the_last_round_is_reported() -> None:
    _, job = pruned("iterative:rounds=2")
    assert [change.subject for change in job.changed] == ["a", "y", "weights"]
    assert job.summary.startswith("2 rounds, the last: 2 epochs, loss")


def test_a_ticket_is_the_early_weights_with_the_zeros_of_the_trained_ones() -> None:
    start = weights(mlp())
    trained = weights(fitted(mlp(), samples(), **TRAIN).model)
    ticket, _ = pruned("lottery:rate=0.75", scope="global")  # one round
    order = np.abs(np.concatenate([trained["w1"].ravel(), trained["w2"].ravel()]))
    cut = np.sort(order)[54 - 1]
    for name in ("w1", "w2"):
        np.testing.assert_array_equal(weights(ticket)[name] == 0, np.abs(trained[name]) <= cut)
    again = mlp().edit()
    for layer in again.layers:
        kept = np.abs(trained[layer.weight.name]) > cut
        again.set_weight(layer.weight, start[layer.weight.name] * kept)
    again.ir.metadata_props["onnxpress.pruned"] = '["w1","w2"]'
    by_hand = weights(fitted(again.done(), samples(), **TRAIN).model)
    for name, array in weights(ticket).items():
        np.testing.assert_array_equal(array, by_hand[name])


def test_rewinding_sets_back_to_the_weights_after_so_many_updates() -> None:
    constant = {**TRAIN, "schedule": "constant"}
    early = weights(fitted(mlp(), samples(), **{**constant, "steps": 3}).model)
    given = {"train": constant, "sparsity": 0.5}
    found = [weights(pruned(f"lottery:rewind={n},rate=0.5", **given)[0]) for n in (0, 3)]
    whole = step("lottery:rewind=3", train=constant)
    job = Job(open_data(samples(), mlp()))
    start = weights(early_weights(Lottery(rewind=3), whole, mlp(), job))
    assert {n: a.tolist() for n, a in start.items()} == {n: a.tolist() for n, a in early.items()}
    assert not job.changed
    assert (found[0]["w1"] != found[1]["w1"]).any()


def test_rounds_of_a_lottery_keep_the_zeros_of_those_before() -> None:
    one, _ = pruned("lottery:rate=0.5", train=STILL, sparsity=0.5)
    two, job = pruned("lottery:rate=0.5", train=STILL)
    assert (weights(two)["w1"][weights(one)["w1"] == 0] == 0).all()
    assert (zeros(two, "w1"), zeros(two, "w2")) == (36, 18)
    assert pruned_names(two.ir) == ["w1", "w2"]
    assert job.summary.startswith("2 rounds, the last:")


@pytest.mark.parametrize(
    ("penalty", "tensor"), [("group-lasso", "w1"), ("l1", "w2"), ("bn-scale", "s")]
)
def test_what_is_penalised_becomes_small_before_it_is_pruned(penalty: str, tensor: str) -> None:
    def learned(strength: float) -> float:
        schedule = SparsityLearning(penalty=penalty, strength=strength, recover=False)  # type: ignore[arg-type]
        given = {"sparsity": 0.1, "schedule": schedule, "train": {**TRAIN, "epochs": 6}}
        job = Job(open_data(images(), convnet()))
        after = MagnitudePruning.model_validate(given).apply(convnet(), job)
        return float(np.abs(weights(after)[tensor]).sum())

    assert learned(0.1) < 0.8 * learned(1e-6)


def test_the_penalty_is_added_to_the_objective_and_only_while_learning() -> None:
    schedule = SparsityLearning(strength=0.3, epochs=5)
    train = Training(epochs=2, objective=("cross-entropy:label-smoothing=0.1",))
    whole = step(schedule, train=train, layers=["op:Gemm"])
    learning = schedule.learning(whole, train)
    assert learning.epochs == 5
    assert learning.objective == (
        "cross-entropy:label-smoothing=0.1",
        {"use": "group-lasso", "weight": 0.3, "layers": ["op:Gemm"], "exclude": []},
    )


def test_a_spec_a_table_and_an_object_mean_the_same() -> None:
    training = {"epochs": 2, "batch": 8, "lr": 0.05}
    schedule = {"use": "polynomial", "initial": 0.5}
    steps: list[Any] = [
        "magnitude-pruning:sparsity=0.75,schedule=polynomial:initial=0.5,epochs=2,batch=8,lr=0.05",
        {"use": "magnitude-pruning", "sparsity": 0.75, "schedule": schedule, "train": training},
        {"use": "magnitude-pruning", "sparsity": 0.75, "schedule": schedule, **training},
        MagnitudePruning.model_validate(
            {"sparsity": 0.75, "schedule": "polynomial:initial=0.5", "train": training}
        ),
    ]
    found = [onnxpress.compress(mlp(), [one], data=samples()).model for one in steps]
    assert zeros(found[0], "w1") == 36
    assert {weights(model)["w1"].tobytes() for model in found} == {
        weights(found[0])["w1"].tobytes()
    }


def test_an_early_step_of_a_lottery_that_is_never_reached_is_an_error() -> None:
    with pytest.raises(OptionError, match=r"rewind=10 \(steps\) is not before the last update"):
        pruned("lottery:rewind=10")
