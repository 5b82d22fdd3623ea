"""Gradients of whole models with respect to all that they store, against differences.

All parameters are moved together along a random direction, each by a share of its own size.
The step of the differences is halved until they agree among themselves, without a look at the
gradient that is tested.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from typing import Final

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import LiftConstantsToInitializersPass

from onnxpress.autodiff import GRADIENTS, gradient, gradient_name
from onnxpress.autodiff.backward import Walk
from onnxpress.autodiff.expand import crossed
from onnxpress.autodiff.inline import inline
from onnxpress.autodiff.lifting import lift_constants
from onnxpress.autodiff.prepare import annotate
from onnxpress.autodiff.standard import standard_body
from onnxpress.data.batch import Array
from onnxpress.data.random import runnable_feeds
from onnxpress.graph.model import Model
from onnxpress.session import Session
from tests.core.autodiff.doubles import InDouble
from tests.core.autodiff.slopes import Differences, best

SINGLE: Final = tuple(2.0**-k for k in range(3, 15))
"""Steps, as shares of a parameter's size, where float32 limits what can be resolved."""

DOUBLE: Final = tuple(2.0**-k for k in range(16, 33, 4))
"""Steps in double precision; kinks are hardly ever as near as that."""

_ALIKE: Final = 1e-2  # of the largest output, how far the two precisions may be apart
_TINY: Final = 1e-6  # an output of this size is one that float32 can't tell from 0 (a sigmoid's)
_SLOW: Final = 3.0  # seconds of a run in ONNX Runtime
_LONGEST: Final = 60.0  # seconds of a run in double precision that is not too long
_FEWEST: Final = 16  # elements of a stored tensor of no layer that counts as a parameter


class Whole:
    """A model that is differentiated with respect to everything that it stores.

    Args:
        model: The model.
        seed: Of the inputs, the weights of the outputs and the directions.
        scale: What the float inputs, standard normal, are multiplied with.

    Attributes:
        model: The same with all that it stores in the main graph, none of which is an input.
        seconds: How long it took to build `backward`, once that was asked for.
    """

    def __init__(self, model: Model, seed: int = 0, scale: float = 1.0) -> None:
        self.model = stored_in_main(model)
        self.seed = seed
        self.scale = scale
        self.seconds = float("nan")

    @cached_property
    def parameters(self) -> list[str]:
        """Float tensors of layers, and others that have some elements."""
        known = set(self.model.parameters)
        stored = self.model.ir.graph.initializers
        return [
            name
            for name, value in stored.items()
            if (tensor := value.const_value) is not None
            and tensor.dtype.is_floating_point()
            and (name in known or tensor.size >= _FEWEST)
            and np.isfinite(tensor.numpy()).all()  # no mask
        ]

    @property
    def elements(self) -> int:
        """How many numbers the parameters are."""
        return sum(array.size for array in self.at_first.values())

    @cached_property
    def at_first(self) -> dict[str, Array]:
        """The parameters as they are stored."""
        stored = self.model.ir.graph.initializers
        return {n: np.array(_tensor(stored[n]).numpy()) for n in self.parameters}

    @cached_property
    def feeds(self) -> dict[str, Array]:
        """Random inputs with which the model runs."""
        made = runnable_feeds(self.model, seed=self.seed)
        factor = self.scale
        return {n: a * a.dtype.type(factor) if a.dtype.kind == "f" else a for n, a in made.items()}

    @property
    def saturated(self) -> bool:
        """Whether float32 can't tell any output from 0, or no output moves."""
        seen = any(np.abs(array).max(initial=0) > _TINY for array in self.outputs.values())
        return not seen or not any(array.any() for array in self.gradients.values())

    @cached_property
    def outputs(self) -> dict[str, Array]:
        """The float outputs, as the model is."""
        results = self.forward.run(self.feeds)
        return {n: a for n, a in results.items() if getattr(a, "dtype", None) is not None
                and a.dtype.kind == "f"}  # fmt: skip

    @cached_property
    def weights(self) -> dict[str, Array]:
        """A random weight for every element of `outputs`."""
        rng = np.random.default_rng([self.seed, 1])
        return {n: rng.standard_normal(a.shape).astype(a.dtype) for n, a in self.outputs.items()}

    @cached_property
    def forward(self) -> Session:
        """The model with its parameters as inputs that may be left out."""
        edit = self.model.edit()
        edit.graph.inputs.extend(edit.graph.initializers[name] for name in self.parameters)
        return Session(edit.done(), threads=2)

    @cached_property
    def backward(self) -> Model:
        """The gradients."""
        start = time.perf_counter()
        weights = {name: weight_of(name) for name in self.outputs}
        result = gradient(self.model, weights, self.parameters)
        self.seconds = time.perf_counter() - start
        return result

    @cached_property
    def gradients(self) -> dict[str, Array]:
        """What `backward` computes, by parameter."""
        given = {weight_of(n): a for n, a in self.weights.items()}
        found = Session(self.backward, threads=2).run({**self.feeds, **given})
        return {n: found[gradient_name(n)] for n in self.parameters}

    @cached_property
    def in_double(self) -> InDouble | None:
        """The model in double precision, if it can be had, is fast, and computes the same."""
        if self.seconds_to_run > _SLOW:
            return None
        try:
            made = InDouble(self.model)
            start = time.perf_counter()
            found = made.run(self.feeds)
        except Exception:  # noqa: BLE001  # the reference evaluator lacks some operators
            return None
        fast = time.perf_counter() - start < _LONGEST
        same = all(_near(found[n], a) for n, a in self.outputs.items())
        return made if fast and same else None

    @cached_property
    def seconds_to_run(self) -> float:
        """How long ONNX Runtime takes."""
        self.forward.run(self.feeds)
        start = time.perf_counter()
        self.forward.run(self.feeds)
        return time.perf_counter() - start

    def total(self, parameters: Mapping[str, Array]) -> float:
        """Return the weighted sum of all outputs, added up in float64."""
        found = (self.in_double or self.forward).run({**self.feeds, **parameters})
        return sum(float((found[n].astype(np.float64) * w).sum()) for n, w in self.weights.items())

    @cached_property
    def exact(self) -> dict[str, Array] | None:
        """What `backward` computes in double precision, if it can be run in it."""
        given = {weight_of(n): a for n, a in self.weights.items()}
        try:
            found = InDouble(self.backward).run({**self.feeds, **given})
        except Exception:  # noqa: BLE001  # as above
            return None
        return {n: found[gradient_name(n)] for n in self.parameters}

    def differences(self, direction: int, only: str | None = None) -> Differences:
        """Take differences along one random direction, of all parameters or of one."""
        every = self._direction(direction)
        along = every if only is None else {only: every[only]}
        middle, tried = self.total({}), []
        steps = DOUBLE if self.in_double else SINGLE
        for step in steps:
            high, low = (
                self.total({n: self._moved(n, s * d) for n, d in along.items()})
                for s in (step, -step)
            )
            tried.append(((high - low) / (2 * step), abs(high + low - 2 * middle) / step))
        return best(along, tried, steps[0] / steps[1])

    def _moved(self, name: str, by: Array) -> Array:
        first = self.at_first[name]
        return first + by if self.in_double else (first + by).astype(first.dtype)

    def _direction(self, number: int) -> dict[str, Array]:
        rng = np.random.default_rng([self.seed, 2, number])
        return {
            n: np.clip(rng.standard_normal(a.shape), -4, 4) * _scale(a)
            for n, a in self.at_first.items()
        }


def weight_of(name: str) -> str:
    return f"weight of {name}"


def stored_in_main(model: Model) -> Model:
    """Return a model without functions and overridable inputs, all it stores in the main graph."""
    edit = model.edit()
    edit.freeze()
    if edit.ir.functions:
        inline(edit.ir)
    lift_constants(edit.ir)
    LiftConstantsToInitializersPass(lift_all_constants=False)(edit.ir)
    return edit.done()


def on_the_way(whole: Whole) -> tuple[list[ir.Node], list[ir.Node]]:
    """Return the nodes between parameters and outputs, and those of them without a rule."""
    edit = whole.model.edit()
    annotate(edit.ir)
    graph = edit.graph
    walk = Walk(GRADIENTS, whole.model.ir.opset_imports)
    sources = {graph.initializers[name] for name in whole.parameters}
    targets = {value for value in graph.outputs if value.name in whole.outputs}
    nodes = list(crossed(list(graph), sources, targets, walk))
    return nodes, [n for n in nodes if walk.rule(n) is None and not _has_body(n, whole.model)]


def count_nodes(model: Model) -> int:
    """Count nodes, those of bodies too, Constants left out."""
    return sum(node.op_type != "Constant" for graph in model.ir.graphs() for node in graph)


def _has_body(node: ir.Node, model: Model) -> bool:
    return standard_body(node, model.opset, "body") is not None


def _tensor(value: ir.Value) -> ir.TensorProtocol:
    assert value.const_value is not None
    return value.const_value


def _near(a: Array, b: Array) -> bool:
    far = np.abs(a.astype(np.float64) - b).max(initial=0)
    return bool(far <= _ALIKE * np.abs(b).max(initial=0) + _TINY)


def _scale(array: Array) -> Array:
    """Return the size of a parameter's elements, each one's own where all are positive.

    A variance must stay positive.  Where all are 0 it is 1 % of 1.
    """
    if array.size and (array > 0).all():
        return array.astype(np.float64)
    size = float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) if array.size else 0.0
    return np.asarray(size or 1e-2)
