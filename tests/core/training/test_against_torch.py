"""Ten steps give the parameters that PyTorch gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from onnxpress.data.batch import Array
from onnxpress.training.optimizers import make_optimizer
from onnxpress.training.running import Runner
from onnxpress.training.step import Plan, build_step
from onnxpress.training.update import COUNT, RATE, Update
from tests.core.training.fitting import PLAIN, PLUGINS, fitted, weights
from tests.core.training.nets import (
    Twin,
    convnet,
    images,
    mlp,
    samples,
    torch_convnet,
    torch_mlp,
)

BATCH = 4
RATE_ = 0.1
TOLERANCE = 2e-5  # of float32 sums in another order, after ten steps

Make = Callable[[list[torch.Tensor]], torch.optim.Optimizer]
OPTIMIZERS: dict[str, Make] = {
    "sgd": lambda p: torch.optim.SGD(p, RATE_),
    "sgd:momentum=0.9,nesterov=yes,weight-decay=0.01": lambda p: torch.optim.SGD(
        p, RATE_, 0.9, nesterov=True, weight_decay=0.01
    ),
    "adamw": lambda p: torch.optim.AdamW(p, RATE_, weight_decay=0.01),
}


def torch_steps(
    twin: Twin,
    data: dict[str, Array],
    make: Make,
    *,
    group: int = 1,
    clip: Callable[[list[torch.Tensor]], Any] = lambda _p: None,
) -> list[dict[str, Array]]:
    """Return parameters and running statistics after every update on ten batches."""
    parameters = [*twin.parameters.values()]
    optimizer = make(parameters)
    found = []
    for index in range(10):
        part = slice(index * BATCH, (index + 1) * BATCH)
        torch.autograd.backward(twin.loss(data["x"][part], data["labels"][part]) / group)
        if (index + 1) % group == 0:
            clip(parameters)
            optimizer.step()
            optimizer.zero_grad()
            found.append(twin.arrays())
    return found


def compare(ours: dict[str, Array], theirs: dict[str, Array], *, but: str = "") -> None:
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {but}:
        np.testing.assert_allclose(
            ours[name], theirs[name], rtol=TOLERANCE, atol=TOLERANCE, err_msg=name
        )


@pytest.mark.parametrize("spec", OPTIMIZERS)
def test_a_dense_network(spec: str) -> None:
    data, twin = samples(), torch_mlp()
    result = fitted(mlp(), data, **{**PLAIN, "optimizer": spec}, batch=BATCH, lr=RATE_)
    compare(weights(result.model), torch_steps(twin, data, OPTIMIZERS[spec])[-1])


def test_the_slots_of_the_optimizer_too() -> None:
    data, twin, model = samples(), torch_mlp(), mlp()
    optimizer = torch.optim.SGD([*twin.parameters.values()], RATE_, 0.9)
    torch_steps(twin, data, lambda _p: optimizer)
    plan = Plan(
        [*model.parameters],
        [PLUGINS.find_objective("cross-entropy")()],
        Update(make_optimizer("sgd:momentum=0.9")),
    )
    step = build_step(model, plan, data["labels"][:BATCH])
    runner = Runner(step, threads=1)
    (label,) = step.labels
    for index in range(10):
        part = slice(index * BATCH, (index + 1) * BATCH)
        runner.run(
            {
                "x": data["x"][part],
                label.name: label.read(data["labels"][part], "a batch"),
                RATE: np.array(RATE_, np.float32),
                COUNT: np.array(index + 1, np.float32),
            }
        )
    state = runner.state()
    for name, parameter in twin.parameters.items():
        momentum = optimizer.state[parameter]["momentum_buffer"].numpy()
        np.testing.assert_allclose(state[f"momentum of {name}"], momentum, atol=TOLERANCE)


def with_population_variance(after: list[dict[str, Array]], before: Array) -> Array:
    """Return the running variance as ONNX keeps it.

    PyTorch adds the unbiased variance of a batch, n / (n - 1) times that of the batch itself,
    which ONNX adds; so the running variance differs, and nothing else does.
    """
    n = BATCH * 36
    ours, last = before, before
    for state in after:
        unbiased = (state["v"] - 0.8 * last) / 0.2
        ours = 0.8 * ours + 0.2 * unbiased * (n - 1) / n
        last = state["v"]
    return ours


@pytest.mark.parametrize("spec", OPTIMIZERS)
def test_convolutions_with_batch_normalisation(spec: str) -> None:
    data, twin = images(), torch_convnet()
    before = twin.arrays()["v"]
    options = {**PLAIN, "optimizer": spec, "batch": BATCH, "lr": RATE_}
    ours = weights(fitted(convnet(), data, **options).model)
    after = torch_steps(twin, data, OPTIMIZERS[spec])
    compare(ours, after[-1], but="v")
    assert np.abs(ours["v"] - after[-1]["v"]).max() > 10 * TOLERANCE
    wanted = with_population_variance(after, before)
    np.testing.assert_allclose(ours["v"], wanted, rtol=10 * TOLERANCE)


def test_frozen_batch_normalisation_leaves_its_statistics() -> None:
    data, twin = images(), torch_convnet(frozen=True)
    options = {**PLAIN, "batch": BATCH, "lr": RATE_, "batch_norm": "frozen"}
    ours = weights(fitted(convnet(), data, **options).model)
    compare(ours, torch_steps(twin, data, OPTIMIZERS["sgd"])[-1])
    assert all(ours[name].tobytes() == weights(convnet())[name].tobytes() for name in "mv")


@pytest.mark.parametrize(
    ("options", "clip"),
    [
        ({"clip_norm": 0.5}, lambda p: torch.nn.utils.clip_grad_norm_(p, 0.5)),
        ({"clip_value": 0.05}, lambda p: torch.nn.utils.clip_grad_value_(p, 0.05)),
    ],
)
def test_clipped_gradients(options: dict[str, Any], clip: Any) -> None:
    data = samples()
    plain = {**PLAIN, "batch": BATCH, "lr": RATE_}
    ours = weights(fitted(mlp(), data, **plain, **options).model)
    compare(ours, torch_steps(torch_mlp(), data, OPTIMIZERS["sgd"], clip=clip)[-1])
    unclipped = weights(fitted(mlp(), data, **plain).model)
    assert np.abs(unclipped["w2"] - ours["w2"]).max() > 100 * TOLERANCE


@pytest.mark.parametrize("spec", OPTIMIZERS)
def test_accumulated_gradients(spec: str) -> None:
    data = samples()
    options = {**PLAIN, "optimizer": spec, "lr": RATE_, "clip_norm": 0.5}
    ours = fitted(mlp(), data, **options, batch=BATCH, accumulate=5).model
    clip = lambda p: torch.nn.utils.clip_grad_norm_(p, 0.5)  # noqa: E731
    theirs = torch_steps(torch_mlp(), data, OPTIMIZERS[spec], group=5, clip=clip)
    assert len(theirs) == 2
    compare(weights(ours), theirs[-1])
    whole = fitted(mlp(), data, **options, batch=5 * BATCH).model
    compare(weights(ours), weights(whole))


def test_a_moving_average_of_the_weights() -> None:
    data, average = samples(), weights(mlp())
    for state in torch_steps(torch_mlp(), data, OPTIMIZERS["sgd"]):
        average = {name: 0.7 * average[name] + 0.3 * state[name] for name in average}
    options = {**PLAIN, "batch": BATCH, "lr": RATE_}
    compare(weights(fitted(mlp(), data, **options, average=0.7).model), average)


def test_an_average_stands_still_while_gradients_are_accumulated() -> None:
    data, average = samples(), weights(mlp())
    for state in torch_steps(torch_mlp(), data, OPTIMIZERS["sgd"], group=5):
        average = {name: 0.7 * average[name] + 0.3 * state[name] for name in average}
    options = {**PLAIN, "batch": BATCH, "lr": RATE_, "accumulate": 5}
    compare(weights(fitted(mlp(), data, **options, average=0.7).model), average)
