"""ONNX's own test cases of operators, and a check of gradients along random directions."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import onnx

from onnxpress.autodiff import gradient, gradient_name
from onnxpress.data.batch import Array, Feeds
from onnxpress.errors import UsageError
from onnxpress.graph.model import Model
from onnxpress.session import Session

FLOATS: Final = {onnx.TensorProto.FLOAT: np.float32, onnx.TensorProto.DOUBLE: np.float64}
STEPS: Final = (1e-2, 3e-3, 1e-3, 3e-4)
TOLERANCE: Final = 1e-2
MOVES: Final = (0.0, 0.02, 0.05)
"""How far a case is moved, in turn, to get away from a kink."""


@dataclass(frozen=True)
class OnnxCase:
    """One of ONNX's cases: a model with its inputs."""

    name: str
    proto: onnx.ModelProto
    inputs: Sequence[Array]

    @property
    def feeds(self) -> dict[str, Array]:
        names = [value.name for value in self.proto.graph.input]
        return {name: np.asarray(a) for name, a in zip(names, self.inputs, strict=True)}

    @property
    def sources(self) -> list[str]:
        """The inputs of floats that are precise enough to take differences."""
        return [v.name for v in self.proto.graph.input if v.type.tensor_type.elem_type in FLOATS]

    @property
    def targets(self) -> list[str]:
        return [v.name for v in self.proto.graph.output if v.type.tensor_type.elem_type in FLOATS]

    def model(self, stored: Mapping[str, Array]) -> Model:
        """Return the model, with some of its inputs stored in it."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        kept = [value for value in proto.graph.input if value.name not in stored]
        del proto.graph.input[:]
        proto.graph.input.extend(kept)
        proto.graph.initializer.extend(
            onnx.numpy_helper.from_array(a, name) for name, a in stored.items()
        )
        return Model.from_proto(proto)


@cache
def onnx_cases() -> dict[str, list[OnnxCase]]:
    """Return the cases that have float tensors going in and out, by operator.

    Those in which an operator is written out by its body are with that operator.
    """
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy, where cases are about infinities
        collected = collect_testcases(None)
    made = [OnnxCase(c.name, c.model, c.data_sets[0][0]) for c in collected if _plain(c)]
    operators = {case.name: case.proto.graph.node[0].op_type for case in made}
    found: dict[str, list[OnnxCase]] = {}
    for case in made:
        name = re.sub(r"_expanded.*", "", case.name)
        if case.sources and case.targets and name in operators:
            found.setdefault(operators[name], []).append(case)
    return found


def _plain(case: Any) -> bool:
    graph = case.model.graph
    values = (*graph.input, *graph.output)
    domains = {opset.domain for opset in case.model.opset_import}
    return domains <= {""} and all(value.type.HasField("tensor_type") for value in values)


@dataclass
class Sloped:
    """A case, its gradients, and what is needed to compare them with differences."""

    case: OnnxCase
    stored: dict[str, Array]

    def __post_init__(self) -> None:
        model = self.case.model(self.stored)
        self.forward = Session(model)
        self.weights = {name: f"weight of {name}" for name in self.case.targets}
        self.backward = Session(gradient(model, self.weights, self.case.sources))
        self.fed = {k: a for k, a in self.case.feeds.items() if k not in self.stored}

    def problem(self, seed: int = 0) -> str:
        """Compare along a random direction; return what is wrong, empty if nothing is."""
        rng = np.random.default_rng(seed)
        for move in MOVES:
            said = self._compared(self._moved(self.fed, rng, move), rng)
            if said != "kink":
                break
        return said

    def _moved(self, feeds: Feeds, rng: np.random.Generator, by: float) -> dict[str, Array]:
        return {**feeds, **{
            name: feeds[name] + (by * rng.standard_normal(feeds[name].shape)).astype(feeds[name].dtype)
            for name in self.case.sources
        }}

    def _compared(self, feeds: dict[str, Array], rng: np.random.Generator) -> str:
        outputs = self.forward.run(feeds)
        if not all(np.isfinite(outputs[name]).all() for name in self.case.targets):
            return "not finite"
        weights = {n: rng.standard_normal(outputs[n].shape).astype(outputs[n].dtype) for n in self.case.targets}
        slopes = self.backward.run({**feeds, **{self.weights[n]: a for n, a in weights.items()}})
        found = {n: slopes[gradient_name(n)] for n in self.case.sources}
        for name, array in found.items():
            if array.shape != feeds[name].shape:
                return f"the gradient of {name} has shape {array.shape}"
            if not np.isfinite(array).all():
                return f"the gradient of {name} is not finite"
        along = {n: rng.standard_normal(feeds[n].shape).astype(feeds[n].dtype) for n in found}
        products = np.concatenate([(found[n].astype(np.float64) * along[n]).reshape(-1) for n in found])

        def total(scale: float) -> float:
            moved = {n: feeds[n] + along[n].dtype.type(scale) * along[n] for n in along}
            out = self.forward.run({**feeds, **moved})
            return sum(float((out[n].astype(np.float64) * w).sum()) for n, w in weights.items())

        return _verdict(total, float(products.sum()), float(np.linalg.norm(products)))


def _verdict(total: Any, found: float, size: float) -> str:
    """Compare a slope with differences in both directions, of steps that get smaller."""
    middle = total(0)
    apart = []
    for step in STEPS:
        up, down = (total(step) - middle) / step, (middle - total(-step)) / step
        # What float32 can't resolve: about 1e-6 of the value, divided by the step.
        noise = 1e-6 * (1 + abs(middle)) / step
        if abs((up + down) / 2 - found) <= TOLERANCE * (size + abs(found)) + noise:
            return ""
        apart.append(abs(up - down) - 2 * noise)
    # At a kink the slopes to both sides stay apart; where a function bends they come together.
    if min(apart) > 0.1 * size and apart[-1] > 0.5 * apart[0]:
        return "kink"
    return f"{found:.5g} is not {up:.5g} (up) or {down:.5g} (down)"


def problem(case: OnnxCase) -> str:
    """Check a case, with integers stored in the model where they must be known beforehand."""
    try:
        sloped = Sloped(case, {})
    except UsageError:
        raise
    return sloped.problem()
