"""Laws over the table of gradient rules: the registry is the list of tests."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from onnxpress.autodiff import GRADIENTS, gradient, gradient_name
from onnxpress.data.batch import Array, Feeds
from onnxpress.graph.model import Model
from onnxpress.session import Session
from onnxpress.testing.gradients import Run, compare, differences, gradients_of
from tests.core.autodiff import rules
from tests.core.autodiff.cases import CASES, Case

assert rules  # registers the cases

# Their outputs are no floats, and so nothing to differentiate: see test_quantization.
QUANTIZING = {("", "QuantizeLinear"), ("", "DynamicQuantizeLinear")}


def test_every_rule_has_a_case() -> None:
    tested = {(case.domain, case.op) for case in CASES} | QUANTIZING
    untested = {rule.operator for rule in GRADIENTS if (rule.domain, rule.op) not in tested}
    assert not untested


def test_every_case_is_held_against_something() -> None:
    assert all(case.differences or case.torch is not None for case in CASES)


def test_no_two_cases_are_called_the_same() -> None:
    names = [str(case) for case in CASES]
    assert len(set(names)) == len(names), sorted(n for n in names if names.count(n) > 1)


@pytest.mark.parametrize("case", [c for c in CASES if c.differences], ids=str)
def test_a_rule_agrees_with_differences(case: Case) -> None:
    feeds = case.feeds()
    found, weights = _gradients(case)
    for name in _wrt(case):
        wanted = _differences(case, feeds, name, weights)
        compare(f"d {case.output} / d {name} of {case}", found[name], wanted, case.tolerance)


@pytest.mark.parametrize("case", [c for c in CASES if c.torch is not None], ids=str)
def test_a_rule_agrees_with_pytorch(case: Case) -> None:
    found, weights = _gradients(case)
    for name, wanted in _by_torch(case, weights).items():
        compare(f"d {case.output} / d {name} of {case}", found[name], wanted, 1e-4)


@pytest.mark.parametrize("case", [c for c in CASES if c.dynamic], ids=str)
def test_a_rule_needs_no_sizes(case: Case) -> None:
    feeds = case.feeds()
    found, _ = gradients_of(case.model(symbolic=True), feeds, _wrt(case), case.output)
    wanted, _ = _gradients(case)
    for name in _wrt(case):
        compare(f"d {case.output} / d {name} of {case}", found[name], wanted[name], 1e-4)


@pytest.mark.parametrize("case", [c for c in CASES if c.smooth], ids=str)
def test_what_a_rule_emits_can_be_differentiated(case: Case) -> None:
    """The product of the Hessian with a random vector, against differences of the gradient."""
    feeds, names = case.feeds(), _wrt(case)
    rng = np.random.default_rng(1)
    first = gradient(case.model(), {case.output: "c"}, names)
    cotangent = rng.standard_normal(case.model().run(feeds)[case.output].shape)
    fed = {**feeds, "c": cotangent.astype(np.float32)}
    slopes = [gradient_name(name) for name in names]
    vectors = {
        f"v{i}": rng.standard_normal(feeds[n].shape).astype(np.float32) for i, n in enumerate(names)
    }
    inputs = [*names, "c"]
    run = _running(first, case)
    second = gradient(first, dict(zip(slopes, vectors, strict=True)), inputs, called="second.{}")
    found = second.run({**fed, **vectors})
    moved = np.random.default_rng(2)
    direction = {n: moved.standard_normal(fed[n].shape).astype(np.float32) for n in inputs}

    def total(scale: float) -> float:
        shifted = {
            n: a + np.float32(scale) * direction[n] for n, a in fed.items() if n in direction
        }
        out = run({**fed, **shifted})
        pairs = zip(slopes, vectors.values(), strict=True)
        return sum(float((out[s].astype(np.float64) * v).sum()) for s, v in pairs)

    step = case.step / 4
    wanted = (total(step) - total(-step)) / (2 * step)
    got = sum(float((found[f"second.{n}"].astype(np.float64) * direction[n]).sum()) for n in inputs)
    scale = sum(float(np.abs(found[f"second.{n}"] * direction[n]).sum()) for n in inputs)
    assert abs(got - wanted) <= 2e-2 * scale + 2e-3, f"{case}: {got} is not {wanted}"


@cache
def _gradients(case: Case) -> tuple[dict[str, Array], Array]:
    """Return the gradients with all sizes known, which several laws look at."""
    return gradients_of(case.model(), case.feeds(), _wrt(case), case.output)


def _running(model: Model, case: Case) -> Run:
    return model.run if case.random else Session(model).run


def _wrt(case: Case) -> list[str]:
    return [f"x{i}" for i in case.floats]


def _differences(case: Case, feeds: Feeds, name: str, weights: Array) -> Array:
    if not case.reference:
        run = _running(case.model(), case)
        return differences(run, feeds, name, case.output, weights, case.step)
    evaluator = ReferenceEvaluator(case.proto(np.dtype(np.float64)))
    double = {
        k: np.asarray(case.inputs[int(k[1:])], np.float64) if a.dtype.kind == "f" else a
        for k, a in feeds.items()
    }

    def exact(moved: Feeds) -> dict[str, Array]:
        results: Any = evaluator.run([case.output], dict(moved))
        return {case.output: np.asarray(results[0])}

    return differences(exact, double, name, case.output, weights, 1e-5)


def _by_torch(case: Case, weights: Array) -> dict[str, Array]:
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    tensors: list[Any] = [None if a is None else torch.tensor(a) for a in case.inputs]
    for index in case.floats:
        tensors[index].requires_grad_()
    assert case.torch is not None
    (case.torch(*tensors) * torch.tensor(weights.astype(np.float64))).sum().backward()
    grads = {i: tensors[i].grad for i in case.floats}
    return {
        f"x{i}": np.zeros(tensors[i].shape) if grad is None else grad.numpy()
        for i, grad in grads.items()
    }
