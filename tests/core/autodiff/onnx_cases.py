"""ONNX's own test cases of operators, as models with their inputs."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import onnx

from onnxpress.data.batch import Array
from onnxpress.graph.model import Model

FLOATS: Final = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE}
_INTEGERS: Final = [f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
FED: Final = FLOATS | {onnx.TensorProto.DataType.Value(n) for n in ("FLOAT16", "BOOL", *_INTEGERS)}
STEERING: Final[Mapping[str, Sequence[str]]] = {
    "CenterCropPad": ["shape"],
    "Dropout": ["r"],
    "OneHot": ["depth", "indices"],
    "Resize": ["roi", "scales"],
    "Upsample": ["scales"],
}
"""Float inputs that say how large a result is, or which elements are read."""


@dataclass(frozen=True)
class OnnxCase:
    """One of ONNX's cases: a model with its inputs."""

    name: str
    proto: onnx.ModelProto
    inputs: Sequence[Array]

    @property
    def feeds(self) -> dict[str, Array]:
        names = [value.name for value in self.proto.graph.input]
        return {name: _array(a) for name, a in zip(names, self.inputs, strict=True)}

    @property
    def sources(self) -> list[str]:
        """The inputs of floats that are precise enough to take differences."""
        steering = STEERING.get(self.proto.graph.node[0].op_type, ())
        return [
            v.name
            for v in self.proto.graph.input
            if v.type.tensor_type.elem_type in FLOATS and v.name not in steering
        ]

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
    made = [_made(case) for case in collected if _plain(case)]
    operators = {case.name: case.proto.graph.node[0].op_type for case in made}
    found: dict[str, list[OnnxCase]] = {}
    for case in made:
        name = re.sub(r"_expanded.*", "", case.name)
        if case.sources and case.targets and name in operators:
            found.setdefault(operators[name], []).append(case)
    return found


def _made(case: Any) -> OnnxCase:
    return OnnxCase(case.name, case.model, case.data_sets[0][0])


def _plain(case: Any) -> bool:
    """Say whether a case is of standard operators and of tensors that can be fed."""
    kinds = {
        v.type.tensor_type.elem_type for v in (*case.model.graph.input, *case.model.graph.output)
    }
    return kinds <= FED and {opset.domain for opset in case.model.opset_import} <= {""}


def _array(given: Any) -> Array:
    proto = isinstance(given, onnx.TensorProto)
    return onnx.numpy_helper.to_array(given) if proto else np.asarray(given)
