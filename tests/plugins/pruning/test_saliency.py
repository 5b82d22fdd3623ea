"""The step ``saliency-pruning``: criteria from data in every mask structure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from onnxpress.data.opening import open_data
from onnxpress.errors import UnknownNameError, UsageError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress.plugins import Plugins
from onnxpress.recipe.steps import make_step, to_table
from onnxpress_pruning import SaliencyPruning
from tests.core.training.nets import convnet, images
from tests.plugins.pruning.models import weights_of, zeros


def after(model: Model, **options: Any) -> dict[str, Any]:
    job = Job(data=open_data({**images(10), "batch": 5}, model))
    return weights_of(SaliencyPruning(**options).apply(model, job))


@pytest.mark.parametrize("criterion", ["snip", "taylor", "fisher", "synflow", "random"])
@pytest.mark.parametrize(
    "options",
    [
        {"sparsity": 0.6},
        {"sparsity": 0.6, "scope": "global"},
        {"structure": "n:m", "pattern": "1:2"},
        {"structure": "block", "block": "2x1", "sparsity": 0.25},
    ],
    ids=["layer", "global", "n:m", "block"],
)
def test_every_criterion_fits_every_mask_structure(criterion: str, options: dict[str, Any]) -> None:
    before = weights_of(convnet())
    now = after(convnet(), criterion=criterion, **options)
    gone = {name: zeros(array) for name, array in now.items() if zeros(array)}
    assert set(gone) <= {"w1", "w2", "w3"}
    if options.get("scope") == "global":
        assert sum(gone.values()) == round(0.6 * sum(before[n].size for n in ("w1", "w2", "w3")))
    if options == {"sparsity": 0.6}:
        assert gone == {n: round(0.6 * before[n].size) for n in ("w1", "w2", "w3")}
    for name, array in now.items():
        assert np.array_equal(array[array != 0], before[name][array != 0])


def test_what_it_prunes_is_not_what_is_small() -> None:
    by_size = after(convnet(), criterion={"use": "random"}, sparsity=0.5)
    by_slope = after(convnet(), criterion="taylor", sparsity=0.5)
    assert any(not np.array_equal(by_size[n] == 0, by_slope[n] == 0) for n in by_size)


@pytest.mark.parametrize("criterion", ["snip", "taylor", "fisher", "obd", "grasp"])
def test_without_data_it_says_how_to_give_some(criterion: str) -> None:
    with pytest.raises(UsageError, match="--data"):
        SaliencyPruning(criterion=criterion).apply(convnet(), Job())


def test_a_criterion_of_the_weights_alone_is_of_the_other_step() -> None:
    with pytest.raises(UnknownNameError, match="no criterion called 'lamp'"):
        SaliencyPruning(criterion="lamp")


def test_a_criterion_of_channels_needs_a_structure_of_channels() -> None:
    with pytest.raises(ValidationError, match="ranks whole channels"):
        SaliencyPruning(criterion="taylor-activation")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"criterion": "snip", "objective": "cross-entropy"},
        {"objective": ["cross-entropy", "l2:weight=1e-4"], "structure": "n:m"},
    ],
)
def test_a_table_of_all_options_makes_the_same_step(options: dict[str, Any]) -> None:
    step = SaliencyPruning(**options)
    assert make_step(to_table(step), Plugins.discover()) == step


def test_gradients_are_of_the_objective_that_the_training_has() -> None:
    step = SaliencyPruning(train={"objective": "mean-squared-error"})  # type: ignore[arg-type]
    assert step.objective_written == ("mean-squared-error",)
    own = step.model_copy(update={"objective": ("cross-entropy",)})
    assert own.objective_written == ("cross-entropy",)
