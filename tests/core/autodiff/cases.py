"""Cases for gradient rules: one node with its inputs, and the same in PyTorch.

Every rule of the table needs at least one case; `test_rules` takes each case through all
laws.  Files in `tests/core/autodiff/rules` register the cases, one file for each file of rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper

from onnxpress.data.batch import Array
from onnxpress.graph.model import Model

CASES: Final[list[Case]] = []


@dataclass(frozen=True, eq=False)
class Case:
    """One node, differentiated.

    Attributes:
        op: The operator.
        inputs: Its inputs as arrays; floats are given as float64 and run as float32.  None
            leaves one out.
        attributes: Its attributes.
        torch: The same in PyTorch: from its inputs (tensors, float64 for floats; None where
            left out) to the output that is differentiated.
        note: What tells the case from others of the operator.
        wrt: Indices of the inputs to differentiate; all floats by default.
        outputs: How many outputs the node has.
        of: Which of them is differentiated.
        opset: The opset; the working one by default.
        domain: The operator's domain.
        stored: Indices of inputs that are stored in the model instead of fed (axes, shapes);
            all integer inputs by default.
        step: How far inputs are moved to take differences.
        tolerance: The largest error against differences, as a share of the largest gradient.
        reference: Whether differences are taken of ONNX's reference implementation in float64
            (exact, with a small step), rather than of ONNX Runtime in float32.
        random: Whether every run of one session draws anew; a new session begins with the seed.
        smooth: Whether the second derivative is checked as well.
        differences: Whether differences say what is right: not at a kink, nor where the gradient
            is a convention, such as straight-through; there PyTorch has to.
        dynamic: Whether the node can be had with unknown shapes.
        captured: How many of the last inputs are not the node's but read by its bodies.
    """

    op: str
    inputs: Sequence[Array | None]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    torch: Callable[..., Any] | None = None
    note: str = ""
    wrt: Sequence[int] | None = None
    outputs: int = 1
    of: int = 0
    opset: int = 21
    domain: str = ""
    stored: Sequence[int] | None = None
    step: float = 1e-2
    tolerance: float = 2e-2
    reference: bool = False
    random: bool = False
    smooth: bool = True
    differences: bool = True
    dynamic: bool = True
    captured: int = 0

    def __str__(self) -> str:
        return f"{self.op}-{self.note}" if self.note else self.op

    @property
    def names(self) -> list[str]:
        """The names of the inputs, empty where one is left out."""
        return ["" if array is None else f"x{i}" for i, array in enumerate(self.inputs)]

    @property
    def floats(self) -> list[int]:
        """The indices of the inputs to differentiate."""
        if self.wrt is not None:
            return list(self.wrt)
        return [i for i, a in enumerate(self.inputs) if a is not None and a.dtype.kind == "f"]

    @property
    def constants(self) -> list[int]:
        """The indices of the inputs that are stored."""
        if self.stored is not None:
            return list(self.stored)
        return [i for i, a in enumerate(self.inputs) if a is not None and a.dtype.kind in "iub"]

    @property
    def output(self) -> str:
        """The name of the output that is differentiated."""
        return f"y{self.of}"

    def feeds(self) -> dict[str, Array]:
        """Return what is fed, floats as float32."""
        return {
            f"x{i}": _single(array)
            for i, array in enumerate(self.inputs)
            if array is not None and i not in self.constants
        }

    def model(self, *, symbolic: bool = False) -> Model:
        """Return the node as a model; `symbolic` hides all sizes but the number of axes."""
        return Model.from_proto(self.proto(np.dtype(np.float32), symbolic=symbolic))

    def proto(self, dtype: np.dtype[Any], *, symbolic: bool = False) -> onnx.ModelProto:
        """Return the node as a protobuf, floats of the type given."""
        arrays = {
            f"x{i}": array.astype(dtype) if array.dtype.kind == "f" else array
            for i, array in enumerate(self.inputs)
            if array is not None
        }
        stored = {f"x{i}" for i in self.constants}
        node = helper.make_node(
            self.op, self.names[: len(self.inputs) - self.captured],
            [f"y{i}" for i in range(self.outputs)], "node",
            domain=self.domain, **self.attributes,
        )  # fmt: skip
        infos = [
            helper.make_tensor_value_info(
                name,
                helper.np_dtype_to_tensor_dtype(array.dtype),
                [f"{name}_{i}" for i in range(array.ndim)] if symbolic else array.shape,
            )
            for name, array in arrays.items()
            if name not in stored
        ]
        result = onnx.ValueInfoProto(name=self.output)
        result.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(dtype)
        graph = helper.make_graph(
            [node], "g", infos, [result],
            [onnx.numpy_helper.from_array(arrays[name], name) for name in sorted(stored)],
        )  # fmt: skip
        opsets = [helper.make_opsetid("", self.opset)]
        if self.domain:
            opsets.append(helper.make_opsetid(self.domain, 1))
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def case(op: str, *inputs: Array | None, **fields: Any) -> Case:
    """Register a case; keyword arguments are the fields of `Case`, others are attributes."""
    own = {name: fields.pop(name) for name in list(fields) if name in Case.__dataclass_fields__}
    attributes = {**own.pop("attributes", {}), **fields}
    made = Case(op, [None if a is None else np.asarray(a) for a in inputs], attributes, **own)
    CASES.append(made)
    return made


def normal(*shape: int, seed: int = 0) -> Array:
    """Return standard normal float64, the same for the same arguments."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def spread(*shape: int, seed: int = 0, gap: float = 0.11) -> Array:
    """Return float64 no two of which, and none of which and zero, are closer than about `gap`."""
    count = int(np.prod(shape))
    steps = np.random.default_rng([seed, *shape]).permutation(count) - count // 2
    result: Array = ((steps + 0.5) * gap).reshape(shape)
    return result


def positive(*shape: int, seed: int = 0) -> Array:
    """Return float64 between about 0.5 and 3."""
    result: Array = np.abs(normal(*shape, seed=seed)) + 0.5
    return result


def _single(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype.kind == "f" else array
