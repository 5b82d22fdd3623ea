"""A gradient against differences along a random direction, away from kinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from onnxpress.autodiff import gradient, gradient_name
from onnxpress.data.batch import Array
from onnxpress.errors import MissingRuleError, ModelError, UsageError
from onnxpress.session import Session
from tests.core.autodiff.onnx_cases import OnnxCase

STEPS: Final = (1e-2, 3e-3, 1e-3, 3e-4)
TOLERANCE: Final = 1e-2
MOVES: Final = (0.0, 0.02, 0.05, 0.11)
"""How far a case is moved at random, in turn, to get away from a kink."""

KINK: Final = "kink"
NOT_FINITE: Final = "what the model computes is not finite"


@dataclass(frozen=True)
class Directions:
    """A case with its gradients.

    Attributes:
        case: The case.
        forward: Computes it.
        backward: Computes its gradients; None if it depends on no float.
        fed: What is fed to both.
    """

    case: OnnxCase
    forward: Session
    backward: Session | None
    fed: Mapping[str, Array]

    def problem(self, seed: int = 0) -> str:
        """Compare along a random direction; return what is wrong, empty if nothing is."""
        rng = np.random.default_rng(seed)
        said = KINK
        for move in MOVES:
            said = self._compared(self._moved(rng, move), rng)
            if said != KINK:
                break
        return said

    def _moved(self, rng: np.random.Generator, by: float) -> dict[str, Array]:
        moved = {n: self.fed[n] + by * _normal(rng, self.fed[n]) for n in self.case.sources}
        return {**self.fed, **{n: a.astype(self.fed[n].dtype) for n, a in moved.items()}}

    def _compared(self, feeds: dict[str, Array], rng: np.random.Generator) -> str:
        outputs = self.forward.run(feeds)
        if not all(np.isfinite(outputs[name]).all() for name in self.case.targets):
            return NOT_FINITE
        weights = {name: _normal(rng, outputs[name]) for name in self.case.targets}
        found = self._gradients(feeds, weights)
        for name, array in found.items():
            if array.shape != feeds[name].shape:
                return f"the gradient of {name} has shape {array.shape}"
            if not np.isfinite(array).all():
                return f"the gradient of {name} is not finite"
        along = {name: _normal(rng, feeds[name]) for name in found}
        products = [(found[n].astype(np.float64) * along[n]).reshape(-1) for n in found]

        def total(step: float) -> float:
            moved = {n: feeds[n] + feeds[n].dtype.type(step) * along[n] for n in along}
            out = self.forward.run({**feeds, **moved})
            return sum(float((out[n].astype(np.float64) * w).sum()) for n, w in weights.items())

        return verdict(total, np.concatenate(products))

    def _gradients(self, feeds: dict[str, Array], weights: dict[str, Array]) -> dict[str, Array]:
        if self.backward is None:
            return {name: np.zeros_like(feeds[name]) for name in self.case.sources}
        slopes = self.backward.run({**feeds, **{weight_of(n): a for n, a in weights.items()}})
        return {name: slopes[gradient_name(name)] for name in self.case.sources}


def _normal(rng: np.random.Generator, like: Array) -> Array:
    return rng.standard_normal(like.shape).astype(like.dtype)


def weight_of(name: str) -> str:
    return f"weight of {name}"


def directions(case: OnnxCase) -> Directions | None:
    """Differentiate a case; None if ONNX Runtime does not run the case itself.

    Integers are stored in the model where a rule says that it must know them beforehand.
    """
    try:
        return _directions(case, {})
    except MissingRuleError:
        raise
    except (ModelError, UsageError):
        integers = {k: a for k, a in case.feeds.items() if a.dtype.kind in "iu"}
        if not integers:
            raise
        return _directions(case, integers)


def _directions(case: OnnxCase, stored: dict[str, Array]) -> Directions | None:
    model = case.model(stored)
    fed = {name: array for name, array in case.feeds.items() if name not in stored}
    try:
        forward = Session(model)
        forward.run(fed)
    except ModelError:
        return None
    weights = {name: weight_of(name) for name in case.targets}
    try:
        backward = Session(gradient(model, weights, case.sources))
    except UsageError as error:
        if "depends on none" not in str(error):
            raise
        return Directions(case, forward, None, fed)
    return Directions(case, forward, backward, fed)


def verdict(total: Callable[[float], float], products: Array) -> str:
    """Compare a slope with differences in both directions, of steps that get smaller.

    Args:
        total: The function, along the direction.
        products: The products of gradient and direction, whose sum is the slope.
    """
    found, size, middle = float(products.sum()), float(np.linalg.norm(products)), total(0)
    apart, slopes = [], []
    for step in STEPS:
        up, down = (total(step) - middle) / step, (middle - total(-step)) / step
        # Beyond the edge of where a function is defined there is nothing to compare with.
        sides = [side for side in (up, down) if np.isfinite(side)]
        if not sides:
            return KINK
        slope = sum(sides) / len(sides)
        # What float32 can't resolve: about 1e-6 of the value, divided by the step.
        noise = 1e-6 * (1 + abs(middle)) / step
        if abs(slope - found) <= TOLERANCE * (size + abs(found)) + noise:
            return ""
        slopes.append(abs(slope))
        apart.append(abs(up - down) - 2 * noise if len(sides) > 1 else 0.0)
    # At a kink the slopes to both sides stay apart; where a function bends they come together.
    # At a jump they grow as the steps shrink.
    if apart[-1] > max(TOLERANCE * (size + abs(found)), apart[0] / 2):
        return KINK
    if slopes[-1] > 10 * slopes[0]:
        return KINK
    return f"{found:.5g} is not {up:.5g} (upwards) or {down:.5g} (downwards)"
