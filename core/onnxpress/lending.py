"""How large weights reach ONNX Runtime: mapped or lent, not copied through a protobuf.

Measured with ONNX Runtime 1.32 on a table of 1.6 GB: with the folder of the data file set
as an option, ONNX Runtime maps the file (session in 0.0 s, 64 MB resident).  An array in
memory has to be given twice, to the graph (`add_external_initializers`, or its optimizer
would not see it) and to the session (`add_initializer`, or it would keep a copy).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from onnxpress.graph.external import in_memory, replace_tensors
from onnxpress.graph.protos import to_proto

if TYPE_CHECKING:
    import onnx
    import onnxruntime as ort

    from onnxpress.data.batch import Array

_WORTH_IT: Final = 1 << 16  # bytes; shape inference wants to see the small ones in the protobuf
_FOLDER: Final = "session.model_external_initializers_file_folder_path"


@dataclass(frozen=True)
class Loan:
    """A model without its large weights, and where these are.

    Attributes:
        proto: The model; large weights are external data.
        arrays: Those that lie in memory, by name.
        folder: The folder to which the locations of all others are relative; None if
            there are none.
    """

    proto: onnx.ModelProto
    arrays: dict[str, Array]
    folder: str | None

    def apply(self, options: ort.SessionOptions) -> list[ort.OrtValue]:
        """Tell a session where the weights are; keep what is returned as long as the session."""
        import onnxruntime as ort

        values = [ort.OrtValue.ortvalue_from_numpy(array) for array in self.arrays.values()]
        if self.arrays:
            options.add_external_initializers(list(self.arrays), values)
        for name, value in zip(self.arrays, values, strict=True):
            options.add_initializer(name, value)
        if self.folder is not None:
            options.add_session_config_entry(_FOLDER, self.folder)
        return values


def lend(model: ir.Model) -> Loan:
    """Prepare a model for a session; the model is left as it is."""
    copy = model.clone()
    folder = _common_folder(copy)
    arrays: dict[str, Array] = {}
    for value, tensor in _large(copy):
        if isinstance(tensor, ir.ExternalTensor):
            value.const_value = _elsewhere(tensor, os.path.relpath(tensor.path, folder))
        elif value.graph is copy.graph and _is_plain(tensor.dtype):
            arrays[value.name or ""] = np.ascontiguousarray(tensor.numpy())
            value.const_value = _elsewhere(tensor, "memory")
    replace_tensors(copy, lambda t: t if isinstance(t, _Elsewhere) else in_memory(t))
    return Loan(to_proto(copy), arrays, folder)


class _Elsewhere(ir.ExternalTensor):
    """A tensor whose bytes the protobuf is not to hold."""


def _elsewhere(tensor: ir.TensorProtocol, location: str) -> _Elsewhere:
    offset = tensor.offset if isinstance(tensor, ir.ExternalTensor) else None
    return _Elsewhere(
        location,
        offset,
        tensor.nbytes,
        tensor.dtype,
        shape=ir.Shape(tensor.shape.numpy()),
        name=tensor.name or "",
    )


def _large(model: ir.Model) -> Iterator[tuple[ir.Value, ir.TensorProtocol]]:
    for graph in model.graphs():
        for value in graph.initializers.values():
            tensor = value.const_value
            if tensor is None or value.is_graph_input():  # a caller may override it
                continue
            if tensor.dtype != ir.DataType.STRING and tensor.nbytes >= _WORTH_IT:
                yield value, tensor


def _common_folder(model: ir.Model) -> str | None:
    files = [t.path for _, t in _large(model) if isinstance(t, ir.ExternalTensor)]
    return os.path.commonpath([os.path.dirname(file) for file in files]) if files else None


def _is_plain(dtype: ir.DataType) -> bool:
    """Say whether numpy itself knows the type; of 4-bit integers and small floats it does not."""
    return dtype.numpy().isbuiltin == 1
