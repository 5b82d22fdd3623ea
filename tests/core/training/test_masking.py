"""Masks that change while a model is trained, against PyTorch and over checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import pytest
import torch

from onnxpress.data.batch import Array
from onnxpress.errors import UsageError
from onnxpress.events import Event, Trained
from onnxpress.graph.pruned import record_pruned
from onnxpress.testing.require import as_bytes
from onnxpress.training.masking import Masked, Masking, Moment
from onnxpress.training.pace import Pace
from tests.core.training.fitting import PLAIN, fitted, weights
from tests.core.training.nets import convnet, images, mlp, samples, torch_mlp
from tests.core.training.test_checkpoint import EVERYTHING, Interrupted
from tests.graphs import graph, normal

Below = Literal["zero", "trained", "waits"]
STEP: dict[str, Any] = {**PLAIN, "lr": 0.1, "batch": 10}


def random_mask(shape: tuple[int, ...], seed: int) -> Array:
    return np.asarray(normal(*shape, seed=seed) > 0)


@final
@dataclass
class Changing(Masking):
    """Draw new masks every few updates."""

    parameters: Mapping[str, Masked]
    every: int = 2
    settles: int = 0
    seen: list[int] = field(default_factory=list)
    look: Callable[[Moment], None] = lambda _moment: None

    def before(self, moment: Moment) -> None:
        self.seen.append(moment.updates)
        self.look(moment)
        if moment.updates and moment.updates % self.every == 0:
            moment.set_masks(
                {n: random_mask(moment.mask(n).shape, moment.updates) for n in moment.names}
            )

    def settled(self, updates: int, pace: Pace) -> bool:
        del pace
        return updates >= self.settles

    @property
    def text(self) -> str:
        return f"every {self.every}"


def masking(below: Below, names: str = "w1 w2", **options: Any) -> Changing:
    start = weights(mlp())
    gradient = options.pop("gradient", False)
    masked = {n: Masked(random_mask(start[n].shape, 0), below, gradient) for n in names.split()}
    return Changing(masked, **options)


class Torch:
    """The same training in PyTorch: two weights masked, new masks every two updates."""

    def __init__(self, below: Below, momentum: float) -> None:
        self.twin = torch_mlp()
        self.below = below
        self.dense = {n: p.detach().clone() for n, p in self.twin.parameters.items()}
        self.masks = {n: self.mask(n, 0) for n in ("w1", "w2")}
        self.scores = {n: torch.zeros_like(self.dense[n]) for n in self.masks}
        self.velocity = {n: torch.zeros_like(p) for n, p in self.dense.items()}
        self.gradients: dict[str, torch.Tensor] = {}
        self.momentum = momentum
        self.show()

    def mask(self, name: str, seed: int) -> torch.Tensor:
        return torch.tensor(random_mask(tuple(self.dense[name].shape), seed)).float()

    def show(self) -> None:
        """Let the network read what is not masked."""
        with torch.no_grad():
            for name, p in self.twin.parameters.items():
                if name in self.masks and self.below == "zero":
                    self.dense[name] *= self.masks[name]
                p.copy_(self.dense[name] * self.masks.get(name, torch.ones(())))

    def change(self, updates: int) -> None:
        for name, old in self.masks.items():
            new = self.mask(name, updates)
            if self.below == "zero":
                self.velocity[name] *= old * new
            self.masks[name] = new
        self.show()

    def step(self, x: Array, labels: Array) -> None:
        p = self.twin.parameters
        found = torch.autograd.grad(self.twin.loss(x, labels), list(p.values()))
        self.gradients = dict(zip(p, found, strict=True))
        for name, gradient in self.gradients.items():
            reaches: torch.Tensor | float = 1.0
            if name in self.masks:
                self.scores[name] -= 0.1 * gradient * self.dense[name]
                reaches = 1.0 if self.below == "trained" else self.masks[name]
            self.velocity[name] = self.momentum * self.velocity[name] + gradient * reaches
            self.dense[name] = self.dense[name] - 0.1 * self.velocity[name]
        self.show()


@pytest.mark.parametrize("below", ["zero", "trained", "waits"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_masked_training_is_that_of_pytorch(below: Below, momentum: float) -> None:
    data, reference = samples(), Torch(below, momentum)
    for update in range(8):
        if update and update % 2 == 0:
            reference.change(update)
        part = slice(update % 4 * 10, update % 4 * 10 + 10)
        reference.step(data["x"][part], data["labels"][part])
    optimizer = f"sgd:momentum={momentum}"
    after = fitted(
        mlp(), data, **{**STEP, "optimizer": optimizer}, epochs=2, masking=masking(below)
    )
    for name, array in reference.twin.arrays().items():
        np.testing.assert_allclose(weights(after.model)[name], array, rtol=1e-4, atol=1e-6)
    for name, mask in reference.masks.items():
        assert (weights(after.model)[name][mask.numpy() == 0] == 0).all()


def test_scores_and_gradients_are_those_of_pytorch() -> None:
    data, reference, seen = samples(), Torch("waits", 0.0), {}

    def look(moment: Moment) -> None:
        if moment.updates == 3:
            seen.update({n: (moment.score(n), moment.gradient(n)) for n in moment.names})

    one = masking("waits", gradient=True, look=look, every=99)
    fitted(mlp(), data, **STEP, masking=one)
    for update in range(3):
        part = slice(update * 10, update * 10 + 10)
        reference.step(data["x"][part], data["labels"][part])
    assert set(seen) == {"w1", "w2"}
    for name, (score, gradient) in seen.items():
        np.testing.assert_allclose(score, reference.scores[name], rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(gradient, reference.gradients[name], rtol=1e-4, atol=1e-7)
        assert (gradient[random_mask(gradient.shape, 0) == 0] != 0).any()


@pytest.mark.parametrize("below", ["zero", "trained", "waits"])
@pytest.mark.parametrize(
    "optimizer", ["sgd:momentum=0.9,nesterov=yes", "adam:weight-decay=0.1", "adamw", "lamb"]
)
def test_what_is_masked_is_zero_whatever_the_optimizer(below: Below, optimizer: str) -> None:
    options = {**STEP, "optimizer": optimizer, "average": 0.9, "clip_norm": 1.0, "accumulate": 2}
    one = masking(below, "w2", every=3)
    after = fitted(mlp(), samples(), **options, epochs=3, masking=one).model
    np.testing.assert_array_equal(weights(after)["w2"] != 0, random_mask((8, 3), 3))
    assert (weights(after)["w1"] != 0).all()
    assert one.seen == list(range(6))


@pytest.mark.parametrize("below", ["zero", "waits"])
def test_gradients_that_reach_no_weight_do_not_count_for_the_norm(below: Below) -> None:
    start = weights(mlp())
    options = {**STEP, "clip_norm": 0.01, "steps": 1}
    after = weights(fitted(mlp(), samples(), **options, masking=masking(below, every=99)).model)
    masks = {name: random_mask(start[name].shape, 0) for name in ("w1", "w2")}
    moves = [after[n] - start[n] * masks.get(n, True) for n in start]
    assert sum(float((move**2).sum()) for move in moves) ** 0.5 == pytest.approx(
        0.1 * 0.01, rel=1e-3
    )


def test_the_model_at_a_moment_has_what_is_under_masks() -> None:
    start, found = weights(mlp()), {}

    def look(moment: Moment) -> None:
        if moment.updates == 0:
            found.update(weights(moment.model()))

    fitted(mlp(), samples(), **STEP, masking=masking("waits", look=look))
    np.testing.assert_array_equal(found["w1"], start["w1"])
    fitted(mlp(), samples(), **STEP, masking=masking("zero", look=look))
    np.testing.assert_array_equal(found["w1"], start["w1"] * random_mask((6, 8), 0))


def test_what_is_not_trained_has_no_mask() -> None:
    one, names = masking("zero"), []
    one.look = lambda moment: names.append(moment.names)
    after = fitted(mlp(), samples(), **STEP, train_layers=["y"], masking=one).model
    assert set(names) == {("w2",)}
    np.testing.assert_array_equal(weights(after)["w1"], weights(mlp())["w1"])


def test_half_precision_is_masked_as_well() -> None:
    w = normal(4, 4).astype(np.float16)
    model = graph("g (float16[N,4] x) => (float16[N,4] y) { y = MatMul(x, w) }", w=w)
    source = {"x": normal(8, 4).astype(np.float16), "labels": normal(8, 4, seed=1)}
    one = Changing({"w": Masked(random_mask((4, 4), 0), "trained")}, every=1)
    after = weights(fitted(model, source, epochs=4, masking=one).model)["w"]
    assert after.dtype == np.float16
    np.testing.assert_array_equal(after != 0, random_mask((4, 4), 3))


@pytest.mark.parametrize("below", ["zero", "trained", "waits"])
@pytest.mark.parametrize("after", [1, 4, 9, 12])
def test_a_masked_fit_that_was_stopped_goes_on_bit_for_bit(
    below: Below, after: int, tmp_path: Path
) -> None:
    done = 0

    def one() -> Changing:
        start = weights(convnet())
        masked = {n: Masked(random_mask(start[n].shape, 0), below, gradient=True) for n in start}
        return Changing(masked, every=2)

    def notify(event: Event) -> None:
        nonlocal done
        done += isinstance(event, Trained)
        if done == after:
            raise Interrupted

    whole = fitted(convnet(), images(), **EVERYTHING, masking=one())
    options = {**EVERYTHING, "checkpoint": tmp_path / "c.npz", "checkpoint_every": 1}
    with pytest.raises(Interrupted):
        fitted(convnet(), images(), notify=notify, **options, masking=one())
    again = fitted(convnet(), images(), **options, masking=one())
    assert as_bytes(again.model) == as_bytes(whole.model)
    assert again.history == whole.history


def test_only_the_same_pruning_goes_on(tmp_path: Path) -> None:
    options = {**STEP, "checkpoint": tmp_path / "c.npz"}
    fitted(mlp(), samples(), **options, masking=masking("zero"))
    with pytest.raises(UsageError, match="its pruning was every 2, and now it is every 3"):
        fitted(mlp(), samples(), **options, masking=masking("zero", every=3))


def test_no_epoch_is_kept_before_masks_have_settled() -> None:
    options = {**STEP, "epochs": 6, "holdout": 0.25, "lr": 3.0, "patience": 2}
    free = fitted(mlp(), samples(), **options, masking=masking("zero", every=99))
    assert free.best_epoch is not None
    late = fitted(mlp(), samples(), **options, masking=masking("zero", every=99, settles=18))
    assert len(late.history) == 6
    assert late.best_epoch is None


def test_masks_take_the_place_of_pruned_zeros() -> None:
    edit = mlp().edit()
    for layer in edit.layers:
        edit.set_weight(layer.weight, layer.weight.array() * random_mask(layer.weight.shape, 5))
    record_pruned(edit.ir, ["w1", "w2"])
    after = weights(fitted(edit.done(), samples(), **STEP, masking=masking("zero", "w2")).model)
    np.testing.assert_array_equal(after["w1"] != 0, random_mask((6, 8), 5))
    np.testing.assert_array_equal(after["w2"][~random_mask((8, 3), 2)], 0)
    assert (after["w2"][~random_mask((8, 3), 5)] != 0).any()
