"""synflow against PyTorch, and what it promises: conservation, and no collapse of a layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from onnxpress.channels import find_channels
from onnxpress.data.batch import Array
from onnxpress.errors import ModelError, UsageError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress_pruning.criteria.criterion import Criterion, Subject
from onnxpress_pruning.criteria.gradients import Snip
from onnxpress_pruning.criteria.gradients_flow import Synflow
from onnxpress_pruning.criteria.positive import PositiveFlow
from tests.core.training.nets import convnet, torch_convnet
from tests.graphs import graph, normal
from tests.plugins.pruning.criteria.saliency import KERNELS, scores, subject


def _flow(model: Model, names: tuple[str, ...] = KERNELS) -> dict[str, Array]:
    stored = {w.name: w.array() for layer in model.layers for w in layer.tensors}
    flow = PositiveFlow(model, names)
    return flow.scores({name: np.abs(stored[name]) for name in names})


def _torch() -> dict[str, torch.Tensor]:
    """Return ``θ ∂R/∂θ`` for a batch of one, all weights positive, nothing shifted."""
    twin = torch_convnet(frozen=True)
    shifts = {"b", "b2", "b3"}
    given = {
        name: (p.detach().abs() * (name not in shifts)).requires_grad_()
        for name, p in twin.parameters.items()
    }
    twin.kept["m"].zero_()
    flow = twin.forward(given, torch.ones(1, 2, 6, 6)).sum()
    names = list(KERNELS)
    found = torch.autograd.grad(flow, [given[name] for name in names])
    return {n: given[n].detach() * g for n, g in zip(names, found, strict=True)}


def test_it_is_weight_times_gradient_of_the_positive_net() -> None:
    found, wanted = _flow(convnet()), _torch()
    factor = found["w3"].sum() / float(wanted["w3"].sum())
    for name, array in found.items():
        np.testing.assert_allclose(array, factor * wanted[name].numpy(), rtol=1e-4)


def test_the_scores_of_every_layer_have_the_same_sum() -> None:
    sums = [float(array.sum()) for array in _flow(convnet(), (*KERNELS, "s")).values()]
    np.testing.assert_allclose(sums, sums[0], rtol=1e-4)


def _deep(layers: int, size: float, *, turned: bool = False) -> Model:
    """Return a residual net whose flow grows by some 10^`size` with every layer.

    If `turned`, a Transpose lies between the stored weights and their use.
    """
    body = ["h0 = Identity(x)"]
    weights = {}
    for i in range(layers):
        if turned:
            body.append(f"t{i} = Transpose<perm=[1, 0]>(w{i})")
        product = f"MatMul(h{i}, {'t' if turned else 'w'}{i})"
        body.append(f"a{i} = {product} r{i} = Relu(a{i}) h{i + 1} = Add(r{i}, h{i})")
        weights[f"w{i}"] = normal(4, 4, seed=i) * 10.0**size
    text = f"g (float[N,4] x) => (float[N,4] h{layers}) {{ {' '.join(body)} }}"
    return graph(text, **weights)


@pytest.mark.parametrize("turned", [False, True])
def test_a_deep_net_does_not_overflow(*, turned: bool) -> None:
    """Forty layers that each multiply by 1000: the flow is some 10^140."""
    model = _deep(40, 3, turned=turned)
    names = tuple(f"w{i}" for i in range(40))
    found = _flow(model, names)
    flow, at = np.ones(4), []
    stored = {w.name: np.abs(w.array().astype(float)) for x in model.layers for w in x.tensors}
    magnitudes = {name: a.T if turned else a for name, a in stored.items()}
    for name in names:
        at.append(flow)
        flow = flow + flow @ magnitudes[name]
    back, wanted = np.ones(4), {}
    for name, before in zip(reversed(names), reversed(at), strict=True):
        wanted[name] = magnitudes[name] * np.outer(before, back)
        back = back + magnitudes[name] @ back
    factor = found["w0"].sum() / wanted["w0"].sum()
    for name in names:
        right = factor * (wanted[name].T if turned else wanted[name])
        np.testing.assert_allclose(found[name], right, rtol=1e-3)


def _left(criterion: Criterion, of: Subject, count: int) -> dict[str, int]:
    """Return how many weights of each tensor are among the `count` best of all."""
    found = scores(criterion, of)
    flat = np.concatenate([array.ravel() for array in found.values()])
    cut = np.sort(flat)[-count]
    return {name: int((array >= cut).sum()) for name, array in found.items()}


def test_no_layer_collapses_before_the_others() -> None:
    """With as many weights as there are layers, one path is left; other criteria lose layers."""
    of = subject()
    assert _left(Synflow(iterations=100, kept=3 / 278), of, 3) == dict.fromkeys(KERNELS, 1)
    assert 0 in _left(Snip(), of, 3).values()
    assert 0 in _left(Synflow(iterations=1, kept=1), of, 3).values()


def test_its_iterations_are_those_of_the_paper() -> None:
    """n steps, each keeping ``kept^(k/n)`` of all, written out over plain scores."""
    model, n, kept = convnet(), 5, 0.2
    stored = {w.name: w.array() for layer in model.layers for w in layer.tensors}
    alive = {name: np.abs(stored[name]) for name in KERNELS}
    flow = PositiveFlow(model, KERNELS)
    total = sum(array.size for array in alive.values())
    for k in range(1, n + 1):
        found = flow.scores(alive)
        flat = np.concatenate([found[name].ravel() for name in KERNELS])
        cut = np.sort(flat)[-round(total * kept ** (k / n))]
        alive = {name: alive[name] * (found[name] >= cut) for name in KERNELS}
    ranks = scores(Synflow(iterations=n, kept=kept), subject())
    flat = np.concatenate([ranks[name].ravel() for name in KERNELS])
    cut = np.sort(flat)[-round(total * kept)]
    for name in KERNELS:
        assert np.array_equal(ranks[name] >= cut, alive[name] > 0)


def test_it_needs_no_data_and_gives_the_same_bytes() -> None:
    model = convnet()
    of = Subject(model, tuple(x.weight for x in model.layers if not x.normalizes), Job())
    first, again = scores(Synflow(), of), scores(Synflow(), of)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert np.unique(np.concatenate([a.ravel() for a in first.values()])).size > 250


def test_what_exceeds_float32_between_two_paths_is_refused() -> None:
    """Around a chain of layers leads a path of its own, so there is nowhere to divide."""
    body = ["h0 = Identity(x)"]
    body += [f"h{i + 1} = MatMul(h{i}, w{i})" for i in range(14)]
    text = f"g (float[N,4] x) => (float[N,4] y) {{ {' '.join(body)} y = Add(h14, x) }}"
    weights = {f"w{i}": normal(4, 4, seed=i) * 1e3 for i in range(14)}
    of = subject(graph(text, **weights), (*weights,), {"x": normal(4, 4)})
    with pytest.raises(ModelError, match="around which other paths lead; choose another criterion"):
        Synflow().elements(of)


def test_channels_hand_on_what_they_get() -> None:
    """What flows into a hidden channel flows out: the sums over both sides are equal."""
    of = subject()
    group = find_channels(of.model).groups[0]
    flow = _flow(of.model, ("w1", "s", "w2"))
    into, out = flow["w1"].sum((1, 2, 3)), flow["w2"].sum((0, 2, 3))
    np.testing.assert_allclose(into, out, rtol=1e-4)
    found = Synflow().channels(of, [group])(group)
    np.testing.assert_allclose(found, into / into.mean(), rtol=1e-4)


def test_relu6_does_not_saturate() -> None:
    text = """g (float[N,6] x) => (float[N,3] y) {
        a = MatMul(x, w) r = Clip(a, low, high) y = MatMul(r, v)
    }"""
    weights = {"w": normal(6, 5) * 100, "v": normal(5, 3)}
    clipped = graph(text, **weights, low=np.array(0.0), high=np.array(6.0))
    open_ = graph(
        "g (float[N,6] x) => (float[N,3] y) { a = MatMul(x, w) y = MatMul(a, v) }", **weights
    )
    found, wanted = _flow(clipped, ("w", "v")), _flow(open_, ("w", "v"))
    for name, array in found.items():
        np.testing.assert_allclose(
            array / array.sum(), wanted[name] / wanted[name].sum(), rtol=1e-4
        )


def test_a_gate_that_is_wide_open_is_left_alone() -> None:
    model = graph(
        """g (float[N,6] x) => (float[N,3] y) {
            a = MatMul(x, w) s = Sigmoid(a) b = MatMul(x, u) m = Mul(s, b) y = MatMul(m, v)
        }""",
        w=np.abs(normal(6, 5)) * 1000,
        u=normal(6, 5, seed=1),
        v=normal(5, 3, seed=2),
    )
    of = subject(model, ("w", "u", "v"), {"x": normal(4, 6)})
    found = scores(Synflow(), of)
    assert np.isinf(found["w"]).all()
    assert np.isfinite(found["u"]).all()
    [declined] = of.job.declined
    assert declined.subject == model.layers[0].name
    assert "synflow can't rank w" in declined.reason


def test_a_layer_that_nothing_flows_through_is_named() -> None:
    model = graph(
        """g (float[N,6] x) => (float[N,3] y, int64[2] z) {
            y = MatMul(x, w)
            a = MatMul(x, v)
            z = Shape(a)
        }""",
        w=normal(6, 3),
        v=normal(6, 3),
    )
    with pytest.raises(UsageError, match=f"does not depend on '{model.layers[1].name}'"):
        Synflow().elements(subject(model, ("w", "v"), {"x": normal(4, 6)}))
