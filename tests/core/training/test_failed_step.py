"""A step that went wrong changes nothing: not weights, nor what an optimizer or a layer keeps."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.training.optimizers import make_optimizer
from onnxpress.training.running import Runner
from onnxpress.training.step import LOSS, Plan, build_step
from onnxpress.training.update import COUNT, RATE, Update
from onnxpress_training.objectives import CrossEntropy
from tests.core.training.nets import convnet, images


@pytest.mark.parametrize("recompute", [None, 2])
def test_what_is_not_finite_changes_no_slot(recompute: int | None) -> None:
    model, source = convnet(), images(8)
    update = Update(make_optimizer("adam"), average=0.9)
    plan = Plan(tuple(model.parameters), (CrossEntropy(),), update, recompute=recompute)
    step = build_step(model, plan, source["labels"])
    feeds = {step.labels[0].name: source["labels"], COUNT: np.array(1, np.float32)}
    feeds[RATE] = np.array(0.01, np.float32)
    runner = Runner(step, threads=1)
    runner.run({**feeds, "x": source["x"]})
    before = runner.state()
    assert np.isnan(runner.run({**feeds, "x": source["x"] * np.float32(np.nan)})[LOSS])
    after = runner.state()
    assert {"m", "v"} <= after.keys()  # the running statistics of the net
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)
    runner.run({**feeds, "x": source["x"]})
    assert any(not np.array_equal(array, before[name]) for name, array in runner.state().items())
