"""`Builder`: adds nodes to a graph, each only once, and knows the types of what it adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import onnx_ir as ir

from onnxpress.autodiff.pads import with_all_axes
from onnxpress.autodiff.tensor import Operand, Tensor
from onnxpress.autodiff.typing import typed_by
from onnxpress.data.batch import Array
from onnxpress.graph.constants import constant_tensor
from onnxpress.graph.names import take_name
from onnxpress.graph.types import Dim, type_of

_Key: TypeAlias = tuple[Any, ...]

UNSTEADY: Final = frozenset(
    {"Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike"}
    | {"RandomUniform", "RandomUniformLike"}
)
_LARGEST_SHARED: Final = 256  # elements of a constant that is looked for among those there are


class Builder:
    """Adds nodes at the end of a graph.

    A node that is there already (same operator, inputs and attributes) is not added again:
    its outputs are returned.  ``op("Mul", a, b)`` returns a `Tensor`, `many` several.

    Args:
        graph: The graph, changed in place.
        names: The names in use anywhere in the model; new ones are added.
        outer: The builder of the graph around this one; what it has is not made again.
        prefix: What new names begin with.
    """

    def __init__(
        self,
        graph: ir.Graph,
        names: set[str],
        outer: Builder | None = None,
        prefix: str = "grad",
    ) -> None:
        self.graph = graph
        self.outer = outer
        self._names = names
        self._prefix = prefix
        self._number = 0  # of the next name; only that of the main graph's builder counts
        self._known: dict[_Key, ir.Node] = {}
        self._constants: dict[_Key, ir.Value] = {}
        for node in graph:
            self._learn(node)

    def __call__(
        self, op_type: str, *inputs: Operand | None, domain: str = "", **attributes: Any
    ) -> Tensor:
        """Add a node with one output.

        Args:
            op_type: The operator.
            inputs: Its inputs; None leaves one out.  Arrays become constants, and so do
                plain numbers, of the element type of the first tensor.
            domain: The operator's domain.
            attributes: Its attributes; those that are None are left out.
        """
        return self.many(op_type, 1, *inputs, domain=domain, **attributes)[0]

    def many(
        self, op_type: str, count: int, *inputs: Operand | None, domain: str = "", **attributes: Any
    ) -> tuple[Tensor, ...]:
        """Add a node with `count` outputs."""
        kind = next((v.dtype for v in inputs if isinstance(v, Tensor)), None)
        wanted = with_all_axes(self, inputs) if op_type == "Pad" and not domain else inputs
        given = [self._value(value, kind) for value in wanted]
        attrs = [_attribute(name, v) for name, v in attributes.items() if v is not None]
        key = _key(domain, op_type, given, attrs)
        node = self._find(key, count)
        if node is None:
            outputs = [ir.Value(name=self._unique()) for _ in range(count)]
            node = ir.Node(domain, op_type, given, attrs, outputs=outputs, name=outputs[0].name)
            typed_by(node)
            self.graph.append(node)
            if key is not None:
                self._known[key] = node
        return tuple(self.tensor(value) for value in node.outputs[:count])

    def tensor(self, value: ir.Value) -> Tensor:
        """Return a value of the graph, or of one around it, as a tensor of this builder."""
        known = type_of(value)
        return Tensor(value, self, known.dtype, known.shape)

    def typed(
        self, value: ir.Value, dtype: ir.DataType | None, shape: Sequence[Dim] | None
    ) -> Tensor:
        """Note what is known of a value's type, and return it as a tensor."""
        if dtype is not None:
            value.type = ir.TensorType(dtype)
        if shape is not None:
            value.shape = ir.Shape(shape)
        return self.tensor(value)

    def constant(self, array: Array | float, dtype: ir.DataType | None = None) -> Tensor:
        """Return a stored tensor; small ones are stored once however often they are asked for.

        Args:
            array: The elements.
            dtype: The element type; by default that of `array`.
        """
        elements = np.asarray(array)
        if dtype is not None:
            elements = elements.astype(dtype.numpy())
        root = self.root
        key = (elements.dtype.str, str(elements.dtype), elements.shape, elements.tobytes())
        shared = elements.size <= _LARGEST_SHARED
        if not shared or key not in root._constants:
            tensor = ir.Tensor(elements, name=self._unique(), dtype=dtype)
            value = ir.Value(
                name=tensor.name,
                shape=ir.Shape(elements.shape),
                type=ir.TensorType(tensor.dtype),
                const_value=tensor,
            )
            root.graph.register_initializer(value)
            if not shared:
                return self.tensor(value)
            root._constants[key] = value
        return self.tensor(root._constants[key])

    def ints(self, *numbers: int) -> Tensor:
        """Return a vector of int64."""
        return self.constant(np.array(numbers, np.int64))

    def scalar(self, number: int) -> Tensor:
        """Return a single int64, without axes."""
        return self.constant(np.array(number, np.int64))

    def reduce(
        self, op_type: str, x: Tensor, axes: Sequence[int] | None, *, keepdims: bool
    ) -> Tensor:
        """Add a reduction over some axes, or over all; over none it returns `x` itself."""
        if axes is not None and not axes:
            return x
        over = None if axes is None else self.ints(*axes)
        return self(op_type, x, over, keepdims=int(keepdims))

    def zeros_like(self, x: Tensor, dtype: ir.DataType | None = None) -> Tensor:
        """Return zeros in the shape of `x`, of its element type unless told otherwise."""
        return self.filled(x, 0, dtype)

    def filled(self, x: Tensor, number: float, dtype: ir.DataType | None = None) -> Tensor:
        """Return a tensor in the shape of `x` all of whose elements are `number`."""
        kind = dtype or x.dtype or ir.DataType.FLOAT
        value = ir.Tensor(np.array([number]).astype(kind.numpy()), dtype=kind)
        result = self("ConstantOfShape", x.sizes(), value=value)
        return self.typed(result.value, kind, x.shape)

    def add(self, terms: Sequence[Tensor]) -> Tensor:
        """Sum tensors of one shape."""
        if len(terms) == 1:
            return terms[0]
        result = self("Add" if len(terms) == 2 else "Sum", *terms)  # noqa: PLR2004
        best = next((t for t in terms if t.fixed is not None), terms[0])
        return self.typed(result.value, best.dtype, best.shape)

    def concat(self, tensors: Iterable[Tensor], axis: int = 0) -> Tensor:
        """Join tensors; one alone is returned as it is."""
        parts = list(tensors)
        return parts[0] if len(parts) == 1 else self("Concat", *parts, axis=axis)

    def inner(self, graph: ir.Graph) -> Builder:
        """Return a builder for the body of a node that will be added here."""
        return Builder(graph, self._names, self, self._prefix)

    @property
    def root(self) -> Builder:
        """The builder of the main graph."""
        return self if self.outer is None else self.outer.root

    def opset(self, domain: str = "") -> int:
        """Return the version in use of an operator set."""
        return self.root.graph.opset_imports.get(domain, 0)

    def name(self, wished: str) -> str:
        """Return `wished`, or `wished` with a number, that nothing is called yet; take it."""
        return take_name(wished, self._names)

    def _unique(self) -> str:
        root = self.root
        while (name := f"{root._prefix}.{root._number}") in self._names:
            root._number += 1
        self._names.add(name)
        return name

    def _value(self, operand: Operand | None, kind: ir.DataType | None) -> ir.Value | None:
        if operand is None or isinstance(operand, Tensor):
            return None if operand is None else operand.value
        plain = isinstance(operand, int | float)
        return self.constant(operand, kind if plain else None).value

    def _find(self, key: _Key | None, count: int) -> ir.Node | None:
        node = None if key is None else self._known.get(key)
        if node is not None and len(node.outputs) >= count:
            return node
        return None if self.outer is None else self.outer._find(key, count)

    def _learn(self, node: ir.Node) -> None:
        key = _key(node.domain, node.op_type, node.inputs, node.attributes.values())
        if key is not None and constant_tensor(node.outputs[0]) is None:
            self._known.setdefault(key, node)


def _key(
    domain: str, op_type: str, inputs: Iterable[ir.Value | None], attributes: Iterable[ir.Attr]
) -> _Key | None:
    """Return what tells a node from others; None for one that is never the same as another."""
    if op_type in UNSTEADY:
        return None
    parts = []
    for attribute in attributes:
        if attribute.is_ref() or attribute.type in _BODIES:
            return None
        parts.append((attribute.name, _hashable(attribute)))
    return (domain, op_type, tuple(map(id, inputs)), tuple(sorted(parts)))


_BODIES: Final = frozenset({ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS})


def _hashable(attribute: ir.Attr) -> Any:
    value = attribute.value
    # Asking whether something is an `ir.TensorProtocol` takes longer than all the rest.
    if attribute.type == ir.AttributeType.TENSOR:
        return (str(value.dtype), tuple(value.shape), value.tobytes())
    return tuple(value) if isinstance(value, list | tuple) else value


def _attribute(name: str, value: Any) -> ir.Attr:
    """Return an attribute; the kinds that rules give are told apart without asking onnx_ir."""
    if isinstance(value, ir.Attr):
        return value
    if isinstance(value, ir.Tensor):
        return ir.AttrTensor(name, value)
    if isinstance(value, int):
        return ir.AttrInt64(name, value)
    if isinstance(value, float):
        return ir.AttrFloat32(name, value)
    if isinstance(value, str):
        return ir.AttrString(name, value)
    listed = list(value) if isinstance(value, tuple) else value
    return ir.convenience.convert_attribute(name, listed) if listed else ir.AttrInt64s(name, [])


def attributes_of(node: ir.Node) -> Mapping[str, Any]:
    """Return the attributes of a node in the form that `Builder` takes."""
    return dict(node.attributes)
