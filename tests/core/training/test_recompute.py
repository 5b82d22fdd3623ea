"""Computing the forward pass again on the way back gives the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pydantic
import pytest

from onnxpress.graph.model import Model
from onnxpress.training.optimizers import make_optimizer
from onnxpress.training.options import Training
from onnxpress.training.step import Plan, Step, build_step
from onnxpress.training.update import Update
from onnxpress_training.objectives import CrossEntropy
from tests.core.training.fitting import fitted, weights
from tests.core.training.nets import convnet, images, mlp, samples


def step(model: Model, recompute: int | None) -> Step:
    update = Update(make_optimizer("sgd"))
    plan = Plan(tuple(model.parameters), (CrossEntropy(),), update, recompute=recompute)
    return build_step(model, plan, np.zeros(8, np.int64))


@pytest.mark.parametrize("parts", [0, 2, 3, 100])
@pytest.mark.parametrize("options", [{}, {"batch_norm": "frozen"}, {"optimizer": "sgd"}])
def test_weights_and_running_statistics_are_those_of_keeping_everything(
    parts: int, options: dict[str, Any]
) -> None:
    kept, again = (
        fitted(convnet(), images(), batch=8, lr=0.01, recompute=recompute, **options).model
        for recompute in (None, parts)
    )
    for name, array in weights(kept).items():
        np.testing.assert_allclose(weights(again)[name], array, rtol=1e-5, atol=1e-6)


def test_the_forward_pass_is_there_a_second_time() -> None:
    model = convnet()
    convolutions = [
        sum(node.op_type == "Conv" for node in step(model, parts).model.ir.graph)
        for parts in (None, 2)
    ]
    assert convolutions[1] > convolutions[0]


def test_a_checkpoint_is_of_a_fit_that_computes_as_much_again(tmp_path: Any) -> None:
    from onnxpress.errors import UsageError

    options = {"batch": 8, "checkpoint": tmp_path / "run.npz"}
    fitted(mlp(), samples(), recompute=2, **options)
    fitted(mlp(), samples(), recompute=2, **options)
    with pytest.raises(UsageError, match="its recompute was 2, and now it is null"):
        fitted(mlp(), samples(), **options)


def test_one_part_would_keep_everything() -> None:
    with pytest.raises(pydantic.ValidationError, match="give 2 parts or more, or 0"):
        Training(recompute=1)
