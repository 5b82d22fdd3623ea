"""`check_gradient`: what a gradient rule owes its users, on one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from onnxpress.testing.require import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from onnxpress.data.batch import Array, Feeds
    from onnxpress.graph.model import Model
    from onnxpress.rules import Rule

Run: TypeAlias = "Callable[[Feeds], Mapping[str, Array]]"
"""A model: from arrays by input name to arrays by output name."""


def check_gradient(  # noqa: PLR0913  # what a check needs, each by name
    model: Model,
    feeds: Feeds,
    wrt: Sequence[str],
    *,
    of: str | None = None,
    rules: Iterable[Rule] = (),
    run: Run | None = None,
    step: float = 1e-3,
    tolerance: float = 1e-2,
    seed: int = 0,
) -> dict[str, Array]:
    """Differentiate a model and compare with central differences, element by element.

    Every element of an output gets a random weight, so that no gradient hides behind another.

    Args:
        model: A model that ONNX Runtime runs, with small tensors.
        feeds: An array for every input; keep them away from kinks by more than `step`.
        wrt: Names of float inputs to differentiate with respect to.
        of: The output to differentiate; the first by default.
        rules: Rules of plugins.
        run: What to take differences of: the model in ONNX Runtime by default.
        step: How far inputs are moved, up and down.
        tolerance: The largest error allowed, as a share of the largest gradient.
        seed: Of the random weights.

    Returns:
        The gradients, by the names in `wrt`.

    Raises:
        AssertionError: Says which gradient is wrong, where and by how much.
    """
    from onnxpress.session import Session

    name = of or model.outputs[0].name or ""
    found, weights = gradients_of(model, feeds, wrt, name, rules, seed)
    forward = run or Session(model).run
    for key in wrt:
        wanted = differences(forward, feeds, key, name, weights, step)
        compare(f"the gradient of {name!r} with respect to {key!r}", found[key], wanted, tolerance)
    return found


def gradients_of(
    model: Model,
    feeds: Feeds,
    wrt: Sequence[str],
    of: str,
    rules: Iterable[Rule] = (),
    seed: int = 0,
) -> tuple[dict[str, Array], Array]:
    """Return the gradients of a randomly weighted sum of an output, and the weights."""
    from onnxpress.autodiff import gradient, gradient_name

    output = model.run(feeds)[of]
    weights = np.random.default_rng(seed).standard_normal(output.shape).astype(output.dtype)
    backward = gradient(model, {of: "weights of the sum"}, wrt, rules=rules)
    backward.check()
    results = backward.run({**feeds, "weights of the sum": weights})
    return {key: results[gradient_name(key)] for key in wrt}, weights


def differences(run: Run, feeds: Feeds, wrt: str, of: str, weights: Array, step: float) -> Array:
    """Return the gradient of a weighted sum of an output by central differences, float64."""

    def total(moved: Array) -> float:
        return float((run({**feeds, wrt: moved})[of].astype(np.float64) * weights).sum())

    x = feeds[wrt]
    result = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[index] += x.dtype.type(step)
        down[index] -= x.dtype.type(step)
        apart = float(up[index]) - float(down[index])
        result[index] = (total(up) - total(down)) / apart
    return result


def compare(what: str, found: Array, wanted: Array, tolerance: float) -> None:
    """Require that two arrays agree up to a share of the largest element."""
    require(found.shape == wanted.shape, f"{what} has shape {found.shape}, not {wanted.shape}")
    require(bool(np.isfinite(found).all()), f"{what} has elements that are not finite: {found}")
    if not wanted.size:
        return
    error = np.abs(found.astype(np.float64) - wanted)
    share = float(error.max() / (np.abs(wanted).max() + 1e-6))
    at = tuple(int(i) for i in np.unravel_index(int(error.argmax()), error.shape))
    require(
        share <= tolerance,
        f"{what} is off by {share:.1e} of its largest element (allowed: {tolerance:.0e}); "
        f"at {at} it is {found[at]:g}, and {wanted[at]:g} is right",
    )
