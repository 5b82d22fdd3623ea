"""Cases for channel-flow rules: one node with its inputs, and what of it can be cut.

Every rule of the table needs at least one case; `test_rules` takes each case through all laws.
Files in `tests/core/channels/rules` register the cases, one file for each file of rules.

A node reads ``x0``, ``x1`` …, and gives ``y0``, ``y1`` …  What it reads are stored tensors, each
times a number that the model is fed, so that nothing else holds their axes::

    w0 ──┐
    s0 ──┴─ Mul ── x0 ──┐
                        ├── node ── y0
    w1, s1 … ────── x1 ─┘
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxpress.data.batch import Array, Feeds
from onnxpress.graph.model import Model

CASES: Final[list[Case]] = []

Place = tuple[str, int]


@dataclass(frozen=True, eq=False)
class Case:
    """One node, and which of its axes can be cut.

    Attributes:
        op: The operator.
        inputs: Its inputs as arrays; None leaves one out.
        free: The axes on which something can be cut, as in ``"x0.1 x1.0 y0.1"``; all others must
            stay whole.
        attributes: Its attributes.
        note: What tells the case from others of the operator.
        sizes: How many channels each group has, smallest first; not looked at by default.
        stored: Indices of inputs that are stored and not multiplied (shapes, indices, scales);
            all integers by default.
        fed: Indices of inputs that the model is fed as they are.
        dynamic: Names for axes of inputs whose sizes are left open in one of the laws.
        outputs: How many outputs the node has.
        unnamed: Indices of outputs that are left out.
        opset: The opset.
        domain: The operator's domain.
        type: The type of outputs, where ONNX does not infer it.
        heads: Whether heads are wanted rather than channels.
        tolerance: The largest difference, as a share of the largest element.
    """

    op: str
    inputs: Sequence[Array | None]
    free: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    sizes: Sequence[int] | None = None
    stored: Sequence[int] | None = None
    fed: Sequence[int] = ()
    dynamic: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    outputs: int = 1
    unnamed: Sequence[int] = ()
    opset: int = 21
    domain: str = ""
    type: Any = np.float32
    heads: bool = False
    tolerance: float = 1e-5

    def __str__(self) -> str:
        name = f"{self.domain}.{self.op}" if self.domain else self.op
        return f"{name}-{self.note}" if self.note else name

    @property
    def split(self) -> Literal["channels", "heads"]:
        """Which part of an axis that is split is cut."""
        return "heads" if self.heads else "channels"

    @property
    def places(self) -> set[Place]:
        """The axes on which something can be cut."""
        pairs = (word.split(".") for word in self.free.split())
        return {(name, int(axis)) for name, axis in pairs}

    @property
    def given(self) -> dict[int, Array]:
        """The inputs that are not left out."""
        return {i: a for i, a in enumerate(self.inputs) if a is not None}

    @property
    def multiplied(self) -> list[int]:
        """The inputs that are stored tensors times something that is fed."""
        return [i for i in self.given if i not in self.constants and i not in self.fed]

    @property
    def constants(self) -> list[int]:
        """The inputs that are stored as they are."""
        if self.stored is not None:
            return list(self.stored)
        return [i for i, a in self.given.items() if a.dtype.kind in "iu" and i not in self.fed]

    @property
    def results(self) -> list[str]:
        """The names of the outputs."""
        return [f"y{i}" for i in range(self.outputs) if i not in self.unnamed]

    def model(self, *, dynamic: bool = False) -> Model:
        """Return the node as a model; `dynamic` leaves the sizes open that the case names."""
        return Model.from_proto(self.proto(dynamic=dynamic))

    def feeds(self, seed: int = 0, *, dynamic: bool = False) -> Feeds:
        """Return what is fed to `model`."""
        rng = np.random.default_rng([seed, 5])
        shapes = {i: self._factor_shape(i, dynamic=dynamic) for i in self.multiplied}
        drawn = {f"s{i}": _factor(rng, self.given[i], shape) for i, shape in shapes.items()}
        return {**drawn, **{f"x{i}": self.given[i] for i in self.fed}}

    def proto(self, *, dynamic: bool = False) -> onnx.ModelProto:
        """Return the node as a protobuf."""
        node = helper.make_node(
            self.op,
            ["" if a is None else f"x{i}" for i, a in enumerate(self.inputs)],
            ["" if i in self.unnamed else f"y{i}" for i in range(self.outputs)],
            "node", domain=self.domain, **self.attributes,
        )  # fmt: skip
        factors = [
            helper.make_node(_TIMES[self.given[i].dtype.kind], [f"w{i}", f"s{i}"], [f"x{i}"])
            for i in self.multiplied
        ]

        def infos(prefix: str, shapes: Mapping[int, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
            opened = self.dynamic if dynamic else {}
            return [
                self._input(f"{prefix}{i}", i, shape, opened.get(i, {}))
                for i, shape in shapes.items()
            ]

        scaled = {i: self._factor_shape(i, dynamic=dynamic) for i in self.multiplied}
        stored = {f"w{i}": self._weight(i, dynamic=dynamic) for i in self.multiplied}
        stored |= {f"x{i}": self.given[i] for i in self.constants}
        graph = helper.make_graph(
            [*factors, node], "g",
            [*infos("s", scaled), *infos("x", {i: self.given[i].shape for i in self.fed})],
            [onnx.ValueInfoProto(name=name) for name in self.results],
            [numpy_helper.from_array(array, name) for name, array in stored.items()],
        )  # fmt: skip
        opsets = [helper.make_opsetid("", self.opset)]
        if self.domain:
            opsets.append(helper.make_opsetid(self.domain, 1))
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(self.type))
        return _typed(helper.make_model(graph, opset_imports=opsets, ir_version=10), kind)

    def _weight(self, index: int, *, dynamic: bool) -> Array:
        """Return the stored tensor: one element along axes whose sizes are left open."""
        array = self.given[index]
        for axis in self.dynamic.get(index, {}) if dynamic else ():
            array = np.take(array, [0], axis)
        return array

    def _factor_shape(self, index: int, *, dynamic: bool) -> tuple[int, ...]:
        """Return the shape of what a stored tensor is multiplied with."""
        shape, names = self.given[index].shape, self.dynamic.get(index, {})
        return tuple(n if i in names else 1 for i, n in enumerate(shape)) if dynamic else ()

    def _input(
        self, name: str, index: int, shape: tuple[int, ...], names: Mapping[int, str]
    ) -> onnx.ValueInfoProto:
        kind = helper.np_dtype_to_tensor_dtype(self.given[index].dtype)
        dims = [names.get(i, size) for i, size in enumerate(shape)]
        return helper.make_tensor_value_info(name, kind, dims)


_TIMES: Final = {"f": "Mul", "i": "Mul", "u": "Mul", "b": "And"}


def case(op: str, *inputs: Array | np.generic | None, free: str, **fields: Any) -> Case:
    """Register a case; keyword arguments are the fields of `Case`, others are attributes."""
    own = {name: fields.pop(name) for name in list(fields) if name in Case.__dataclass_fields__}
    attributes = {**own.pop("attributes", {}), **fields}
    made = Case(op, [None if a is None else _single(a) for a in inputs], free, attributes, **own)
    CASES.append(made)
    return made


def normal(*shape: int, seed: int = 0) -> Array:
    """Return standard normal float32, the same for the same arguments; no two elements alike."""
    drawn = np.random.default_rng([seed, *shape]).standard_normal(shape)
    return np.asarray(drawn, np.float32)


def positive(*shape: int, seed: int = 0) -> Array:
    """Return float32 between about 0.5 and 3."""
    return np.asarray(np.abs(normal(*shape, seed=seed)) + 0.5, np.float32)


def whole(*numbers: int) -> Array:
    """Return a vector of integers: a shape, axes, pads."""
    return np.array(numbers, np.int64)


def _single(array: Any) -> Array:
    made = np.asarray(array)
    return made.astype(np.float32) if made.dtype == np.float64 else made


def _factor(rng: np.random.Generator, array: Array, shape: tuple[int, ...]) -> Array:
    """Return what leaves stored tensors what they are by type: true, ones or about one."""
    if array.dtype.kind == "f":
        return np.asarray(rng.uniform(0.8, 1.2, shape), array.dtype)
    return np.ones(shape, array.dtype)


def _typed(proto: onnx.ModelProto, kind: int) -> onnx.ModelProto:
    """Give outputs the types and shapes that ONNX infers, or a type where it infers none."""
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    for value, known in zip(proto.graph.output, inferred.graph.output, strict=True):
        value.CopyFrom(known)
        if not value.type.tensor_type.elem_type:
            value.type.tensor_type.elem_type = kind
    return proto
