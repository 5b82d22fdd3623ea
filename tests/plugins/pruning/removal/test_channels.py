"""What cutting owes its users, for every criterion that ranks channels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from onnxpress.channels import find_channels
from onnxpress.errors import UsageError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress.testing import check_transform
from onnxpress_pruning import MagnitudePruning, SaliencyPruning
from tests.graphs import normal
from tests.plugins.pruning.removal.nets import (
    MAGNITUDES,
    SALIENCIES,
    attention,
    cut,
    images,
    residual,
    widths,
)

CRITERIA = (*MAGNITUDES, *SALIENCIES)


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_channels_go_as_promised_and_the_model_runs(criterion: str, scope: str) -> None:
    model = residual(1)
    job = Job(images(model))
    made = cut(model, job=job, criterion=criterion, scope=scope, round_to=2, recalibrate="none")
    made.check()
    left = {change.subject: change.details["channels"] for change in job.changed}
    whole = {"stem": 16, "a1": 16}
    macs, parameters = find_channels(model).cost(whole | left)
    assert (made.cost().macs, made.cost().parameters) == (macs, parameters)
    assert macs < model.cost().macs
    if scope == "layer" and criterion != "lamp":  # lamp ranks all together
        assert left == {"stem": 8, "a1": 8}
    assert np.isfinite(made.run({"x": normal(3, 3, 8, 8)})["fc"]).all()


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("criterion", [c for c in CRITERIA if c != "bn-scale"])
def test_heads_go_as_promised_and_the_model_runs(criterion: str, scope: str) -> None:
    model = attention()
    options = {"structure": "head", "scope": scope, "round_to": 1, "recalibrate": "none"}
    job = Job(images(model))
    made = cut(model, job=job, criterion=criterion, **options)
    made.check()
    assert widths(made) == {"q": 8, "k": 8, "v": 8, "o": 16, "y": 10}
    assert job.changed[0].details["channels"] == 2
    assert made.run({"x": normal(3, 7, 16)})["y"].shape == (3, 10)


@pytest.mark.parametrize("structure", ["channel", "head", "depth"])
@pytest.mark.parametrize("net", [residual, attention], ids=["residual", "attention"])
def test_it_keeps_the_laws_of_a_transform(net: Callable[[], Model], structure: str) -> None:
    model, options = net(), {"structure": structure, "ratio": 0.5}
    check_transform(MagnitudePruning.model_validate(options), model)
    check_transform(SaliencyPruning.model_validate(options), model, images(model))


def test_chance_depends_on_the_seed_alone() -> None:
    def left(seed: int) -> bytes:
        made = cut(residual(), job=Job(seed=seed), criterion="random", recalibrate="none")
        return next(layer for layer in made.layers if layer.name == "a1").weight.array().tobytes()

    assert left(1) == left(1)
    assert left(1) != left(2)


def test_what_stays_are_the_channels_that_score_highest() -> None:
    model = residual(1)
    made = cut(model, layers=["a1"], criterion="l2", ratio=0.5, recalibrate="none")
    weights = {layer.name: layer.weight.array() for layer in model.layers}
    # Torch-Pruning's sum: what makes a channel, its scale, and what reads it, in the mean.
    scores = (
        (weights["a1"] ** 2).sum((1, 2, 3))
        + weights["a1_n"] ** 2
        + (weights["b1"] ** 2).sum((0, 2, 3))
    )
    stays = np.sort(np.argsort(scores)[8:])
    found = {layer.name: layer.weight.array() for layer in made.layers}
    np.testing.assert_array_equal(found["a1"], weights["a1"][stays])
    np.testing.assert_array_equal(found["b1"], weights["b1"][:, stays])


def test_channels_that_are_zero_everywhere_go_first_and_change_nothing() -> None:
    model = residual(2)
    edit = model.edit()
    zeros = [1, 4, 5, 11]
    for layer in edit.layers:
        if layer.name in {"a1", "a1_n"}:
            for weight in layer.weights:
                array = weight.array().copy()
                array[zeros] = 1 if weight.role == "variance" else 0
                edit.set_weight(weight, array)
        elif layer.name == "b1":
            array = layer.weight.array().copy()
            array[:, zeros] = 0
            edit.set_weight(layer.weight, array)
    model = edit.done()
    made = cut(model, layers=["a1"], ratio=0.25, round_to=1)
    assert widths(made)["a1"] == 12
    x = {"x": normal(5, 3, 8, 8)}
    np.testing.assert_allclose(made.run(x)["fc"], model.run(x)["fc"], rtol=1e-4, atol=1e-4)


def test_recalibration_with_data_restores_the_means_of_the_outputs() -> None:
    model = residual(2)
    data = images(model, 64)
    x = {"x": normal(64, 3, 8, 8, seed=3)}
    wanted = model.run(x)["fc"].mean(0)
    offset = {}
    for how in ("none", "auto"):
        made = cut(model, job=Job(data), ratio=0.5, recalibrate=how)
        offset[how] = float(abs(next(iter(made.run(x).values())).mean(0) - wanted).max())
    assert offset["auto"] < 0.02 * offset["none"]


def test_what_can_not_be_recalibrated_without_data_is_said_once() -> None:
    job = Job()
    cut(attention(), job=job)
    (said,) = [d for d in job.declined if "recalibrated" in d.reason]
    assert said.subject == "model"
    assert said.reason == (
        "the biases of 2 layers are not recalibrated: that needs data; recalibrate=bias says why "
        "for each"
    )


def test_the_names_and_shapes_of_inputs_and_outputs_stay() -> None:
    model, made = residual(), cut(residual())
    for mine, yours in zip(
        (*model.inputs, *model.outputs), (*made.inputs, *made.outputs), strict=True
    ):
        assert (mine.name, str(mine.shape)) == (yours.name, str(yours.shape))


def test_cutting_twice_cuts_the_rest() -> None:
    once = cut(residual(width=32), recalibrate="none")
    assert widths(once)["a1"] == 16
    assert widths(cut(once, recalibrate="none"))["a1"] == 8


@pytest.mark.parametrize("criterion", ["taylor", "wanda", "apoz", "fisher", "taylor-activation"])
def test_saliency_without_data_is_an_error(criterion: str) -> None:
    with pytest.raises(UsageError, match=f"criterion={criterion} needs data"):
        cut(residual(), criterion=criterion)
