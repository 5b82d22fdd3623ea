"""Gathering: what exporters write out becomes the one operator that it is.

The way back keeps what every node on it reads: of a Gelu in five nodes four tensors, of Gelu
itself one.  ONNX Runtime fuses such nodes too, but only where nothing else reads what lies
between them, and the way back does.

Recognised are Gelu by Erf and by Tanh, and LayerNormalization, with factors and constants in
whatever order, in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from math import isclose, pi, sqrt
from typing import Any, Final, TypeAlias

import onnx_ir as ir

from onnxpress.autodiff.monomials import Monomial, monomial, number
from onnxpress.graph.constants import STANDARD, integers

_ROUNDING: Final = 1e-6  # relative; constants are float32, and were rounded more than once
_CUBE: Final = 0.044715  # of Gelu by Tanh


@dataclass(frozen=True)
class _Found:
    """Nodes that are one operator.

    Attributes:
        op_type: The operator.
        inputs: What it reads, the main input first.
        nodes: The nodes, the one with the result first.
        attributes: Its attributes.
    """

    op_type: str
    inputs: Sequence[ir.Value]
    nodes: Sequence[ir.Node]
    attributes: Mapping[str, Any] = field(default_factory=dict)


def gather(model: ir.Model, kept: Collection[ir.Value] = ()) -> bool:
    """Replace nodes by the one operator that they write out, in place.

    Results keep their names.  Nodes stay where something else reads what lies between them.

    Args:
        model: The graph, with types.
        kept: Values that are needed although no node reads them.

    Returns:
        Whether anything was replaced.
    """
    opset = model.opset_imports.get("", 0)
    recognisers = [function for function, since in _RECOGNISERS if opset >= since]
    nodes = [node for graph in model.graphs() for node in reversed(graph)]
    found = [_gather(node, recognisers, kept) for node in nodes]
    return any(found)


def _gather(node: ir.Node, recognisers: Sequence[_Recogniser], kept: Collection[ir.Value]) -> bool:
    """Replace the nodes that end in one, if that is still there; say whether they were."""
    if node.graph is None or node.op_type not in _LAST or node.domain not in STANDARD:
        return False
    for recognise in recognisers:
        found = recognise(node)
        if found is not None and _same_kind(found) and _apart(found, kept):
            _replace(found)
            return True
    return False


def _same_kind(found: _Found) -> bool:
    """Say whether all is float32, and the result of the rank of the main input."""
    result = found.nodes[0].outputs[0]
    ranks = [None if v.shape is None else v.shape.rank() for v in (result, found.inputs[0])]
    floats = all(v.dtype == ir.DataType.FLOAT for v in (result, *found.inputs))
    return floats and ranks[0] is not None and ranks[0] == ranks[1]


def _apart(found: _Found, kept: Collection[ir.Value]) -> bool:
    """Say whether nothing else reads what lies between the nodes, and none is in a body."""
    own = set(found.nodes)
    inner = [v for node in found.nodes[1:] for v in node.outputs]
    if any(v in kept for v in (*inner, *found.nodes[0].outputs)):
        return False
    read = any(user not in own for v in inner for user, _ in v.uses())
    same = all(node.graph is found.nodes[0].graph for node in found.nodes)
    return same and not read and not any(v.is_graph_output() for v in inner)


def _replace(found: _Found) -> None:
    last = found.nodes[0]
    assert isinstance(last.graph, ir.Graph)
    attributes = ir.convenience.convert_attributes(dict(found.attributes))
    node = ir.Node("", found.op_type, found.inputs, attributes, num_outputs=1, name=last.name)
    ir.convenience.replace_nodes_and_values(
        last.graph, last, list(dict.fromkeys(found.nodes)), [node], last.outputs, node.outputs
    )


def _gelu(last: ir.Node) -> _Found | None:
    """``½ · x · (1 + e)``, where e is ``erf(x/√2)`` or ``tanh(√(2/π) · (x + c x³))``."""
    product = monomial(last.outputs[0])
    if not _is(product.coefficient, 0.5) or [*product.powers.values()] != [1, 1]:
        return None
    for x, factor in permutations(product.powers):
        for curve, one, add in _sum(factor):
            node = curve.producer()
            if number(one) != 1 or node is None or node.op_type not in {"Erf", "Tanh"}:
                continue
            inside = _inside(node, x)
            if inside is not None:
                exact = {} if node.op_type == "Erf" else {"approximate": "tanh"}
                return _Found("Gelu", [x], [*product.nodes, add, node, *inside], exact)
    return None


def _inside(curve: ir.Node, x: ir.Value) -> Sequence[ir.Node] | None:
    """Return the nodes that compute what Erf or Tanh reads, if it is what Gelu makes of `x`."""
    given = curve.inputs[0]
    if given is None or curve.domain not in STANDARD:
        return None
    product = monomial(given)
    if curve.op_type == "Erf":
        fits = _is(product.coefficient, sqrt(0.5)) and product.powers == {x: 1}
        return product.nodes if fits else None
    if not _is(product.coefficient, sqrt(2 / pi)):
        return None
    for factor in product.powers:
        for a, b, add in _sum(factor):
            power = 3 if a is x else 2  # x + c x³, or x · (1 + c x²)
            rest = {factor: 1} if a is x else {factor: 1, x: 1}
            cube = monomial(b)
            start = a is x or number(a) == 1
            if start and product.powers == rest and _is_power(cube, x, power, _CUBE):
                return [*product.nodes, add, *cube.nodes]
    return None


def _layer_normalization(last: ir.Node) -> _Found | None:
    """``d / √(mean(d²) + ε) · scale + bias`` with ``d = x - mean(x)``; the bias may be missing."""
    root = last.outputs[0]
    for product, bias, adds in _biased(root):
        roots = [v for v, power in product.powers.items() if power == -0.5]  # noqa: PLR2004
        others = [v for v, power in product.powers.items() if power == 1]
        if len(roots) != 1 or len(others) != 2 or len(product.powers) != 3:  # noqa: PLR2004
            continue
        for centred, scale in permutations(others):
            found = _normalized(centred, roots[0])
            if found is None or not _is(product.coefficient, 1):
                continue
            x, axis, epsilon, nodes = found
            affine = [scale, *bias]
            if all(_is_trailing(v, x, axis) for v in affine):
                attributes = {"axis": axis, "epsilon": epsilon}
                own = [*adds, *product.nodes, *nodes]
                return _Found("LayerNormalization", [x, *affine], own, attributes)
    return None


def _biased(root: ir.Value) -> Iterator[tuple[Monomial, list[ir.Value], list[ir.Node]]]:
    """Return the ways to see a value as a product plus a bias, or as a product alone."""
    for scaled, bias, add in _sum(root):
        yield monomial(scaled), [bias], [add]
    yield monomial(root), [], []


def _normalized(
    centred: ir.Value, square: ir.Value
) -> tuple[ir.Value, int, float, list[ir.Node]] | None:
    """Return x, the first axis, ε and the nodes, if one is ``x - mean``, the other ``σ² + ε``."""
    sub = centred.producer()
    if sub is None or sub.op_type != "Sub" or sub.domain not in STANDARD:
        return None
    x, centre = sub.inputs
    for variance, constant, add in _sum(square):
        epsilon, over = number(constant), _mean(variance)
        if x is None or centre is None or not epsilon or over is None:
            continue
        squares, axes, reduce = over
        product, middle = monomial(squares), _mean(centre)
        if middle is None or not _is_power(product, centred, 2, 1) or middle[:2] != (x, axes):
            continue
        axis = _first_of_last(axes, x)
        if axis is not None:
            nodes = [sub, middle[2], add, reduce, *product.nodes]
            return x, axis, epsilon, nodes
    return None


def _mean(value: ir.Value) -> tuple[ir.Value, tuple[int, ...], ir.Node] | None:
    """Return what a value is the mean of, over which axes, and the node; all axes stay."""
    node = value.producer()
    if node is None or node.op_type != "ReduceMean" or node.domain not in STANDARD:
        return None
    x, axes = node.inputs[0], integers(node, "axes")
    if x is None or x.shape is None or not axes or not node.attributes.get_int("keepdims", 1):
        return None
    return x, tuple(sorted(axis % x.shape.rank() for axis in axes)), node


def _first_of_last(axes: tuple[int, ...], x: ir.Value) -> int | None:
    """Return the first axis, counted from the end, if no axis behind it is missing."""
    assert x.shape is not None  # its axes were read
    rank = x.shape.rank()
    return axes[0] - rank if axes == tuple(range(axes[0], rank)) else None


def _is_trailing(value: ir.Value, x: ir.Value, axis: int) -> bool:
    """Say whether a value is known to have the shape that `x` has from an axis on."""
    assert x.shape is not None  # its axes were read
    sizes = list(x.shape)[axis:]
    known = all(isinstance(size, int) for size in sizes)
    return known and value.shape is not None and list(value.shape) == sizes


def _sum(value: ir.Value) -> Iterator[tuple[ir.Value, ir.Value, ir.Node]]:
    """Return both orders of the terms of an Add, and the node."""
    node = value.producer()
    if node is not None and node.op_type == "Add" and node.domain in STANDARD:
        a, b = node.inputs
        if a is not None and b is not None:
            yield a, b, node
            yield b, a, node


def _is_power(product: Monomial, x: ir.Value, power: int, coefficient: float) -> bool:
    return product.powers == {x: power} and _is(product.coefficient, coefficient)


def _is(found: float, wanted: float) -> bool:
    return isclose(found, wanted, rel_tol=_ROUNDING)


_Recogniser: TypeAlias = Callable[[ir.Node], _Found | None]

_LAST: Final = frozenset({"Add", "Mul", "Div"})
_RECOGNISERS: Final[Sequence[tuple[_Recogniser, int]]] = (
    (_gelu, 20),
    (_layer_normalization, 17),
)
"""What is recognised, and the opset from which on there is such an operator."""
