"""What `onnx.checker` and type inference say about a model, in a sentence for users."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Final

import onnx
import onnx_ir as ir

from onnxpress.errors import ModelError, suggestion
from onnxpress.graph.external import replace_tensors
from onnxpress.graph.protos import subgraphs, to_proto

# Operators of ai.onnx that ONNX Runtime runs, although the specification does not have them, or
# not yet: experiments of ONNX's first days, and what its own optimizer writes. They are not held
# against a model below the opset given here.
_UNSPECIFIED_BEFORE: Final = {
    "Affine": 10,
    "Crop": 10,
    "DynamicSlice": 10,
    "GroupNormalization": 21,  # specified in 18, but withdrawn
    "ImageScaler": 10,
    "LayerNormalization": 17,
    "MeanVarianceNormalization": 9,
    "ParametricSoftplus": 10,
    "Scale": 10,
    "ScaledTanh": 10,
    "SimplifiedLayerNormalization": sys.maxsize,
    "ThresholdedRelu": 10,
}
_REFUSALS: Final = (
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    RuntimeError,
    ValueError,
)
_ELSEWHERE: Final = "onnxpress.unspecified"  # the checker passes over unknown domains
_SMALL: Final = 1024  # bytes; inference needs the shapes and axes that are stored in such tensors


def check(model: ir.Model) -> None:
    """Check a graph.

    Raises:
        ModelError: With what the checker said.
    """
    copy = model.clone()
    replace_tensors(copy, _without_bytes)
    check_proto(to_proto(copy))


def check_proto(proto: onnx.ModelProto) -> None:
    """Check a model with `onnx.checker`, and the element types its operators get.

    The bytes of large tensors are neither read nor copied.

    Raises:
        ModelError: With what the checker said.
    """
    light = _outline(proto)
    opset = next((i.version for i in light.opset_import if not i.domain), 0)
    _move_unspecified(light.graph.node, opset)
    for function in light.functions:
        own = {i.domain: i.version for i in function.opset_import}
        _move_unspecified(function.node, own.get("", opset))
        function.opset_import.append(onnx.helper.make_opsetid(_ELSEWHERE, 1))
    light.opset_import.append(onnx.helper.make_opsetid(_ELSEWHERE, 1))
    try:
        onnx.checker.check_model(_with_shapes(light))
        onnx.shape_inference.infer_shapes(light, check_type=True, strict_mode=False)
    except _REFUSALS as error:
        raise ModelError(f"the model is not valid ONNX: {_sentence(str(error))}") from error


def _sentence(said: str) -> str:
    said = re.sub(r"==> Context: Bad node spec for node.", "in node", said)
    return re.sub(r"in node Name: (.*?) ?OpType: (\S+)", r"(node '\1', \2)", " ".join(said.split()))


def _outline(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Copy all that the checker needs, but empty tensors in place of large ones.

    Shapes that the file claims are left out: a wrong one is no reason to refuse a model
    (ONNX Runtime warns and goes on), and they would contradict the empty tensors.
    """
    graph = proto.graph
    fed = {value.name for value in graph.input}
    light = onnx.ModelProto(
        ir_version=max(proto.ir_version, 4),  # before 4, constants had to be inputs as well
        opset_import=proto.opset_import,
        functions=proto.functions,
        graph=onnx.GraphProto(
            name=graph.name or "graph",  # mandatory, but nothing depends on it
            node=graph.node,
            input=graph.input,
            output=graph.output,
            initializer=[_emptied(t) for t in graph.initializer if t.name not in fed],
        ),
    )
    _lighten(light.graph)
    return light


def _with_shapes(light: onnx.ModelProto) -> onnx.ModelProto:
    """Give inputs and outputs some shape: the checker insists, ONNX Runtime and we do not."""
    copy = onnx.ModelProto()
    copy.CopyFrom(light)
    for value in (*copy.graph.input, *copy.graph.output):
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()
    return copy


def _lighten(graph: onnx.GraphProto) -> None:
    del graph.value_info[:]
    for output in graph.output:
        if output.type.HasField("tensor_type"):
            output.type.tensor_type.ClearField("shape")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                attribute.t.CopyFrom(_emptied(attribute.t))
    for inner in subgraphs(graph.node):
        for tensor in inner.initializer:
            tensor.CopyFrom(_emptied(tensor))
        _lighten(inner)


def _emptied(tensor: onnx.TensorProto) -> onnx.TensorProto:
    external = tensor.data_location == onnx.TensorProto.EXTERNAL
    if not external and tensor.ByteSize() <= _SMALL:
        return tensor
    return onnx.TensorProto(name=tensor.name, dims=[0], data_type=tensor.data_type)


def _without_bytes(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    if tensor.nbytes <= _SMALL:
        return tensor
    return ir.ExternalTensor(
        "", None, None, tensor.dtype, shape=ir.Shape(tensor.shape.numpy()), name=tensor.name or ""
    )


def _move_unspecified(nodes: Iterable[onnx.NodeProto], opset: int) -> None:
    """Move operators that are tolerated out of the checker's sight; fail for unknown ones."""
    for node in nodes:
        if node.domain:
            continue
        if opset < _UNSPECIFIED_BEFORE.get(node.op_type, 0):
            node.domain = _ELSEWHERE
        elif not onnx.defs.has(node.op_type, max_inclusive_version=opset):
            raise ModelError(_about_unknown(node, opset))
    for graph in subgraphs(nodes):
        _move_unspecified(graph.node, opset)


def _about_unknown(node: onnx.NodeProto, opset: int) -> str:
    where = f"node {node.name or ', '.join(node.output)!r}"
    if onnx.defs.has(node.op_type):
        since = min(s.since_version for s in _schemas() if s.name == node.op_type)
        return (
            f"the model is not valid ONNX: {where} is {node.op_type}, which exists since opset "
            f"{since}, but the model imports opset {opset}"
        )
    names = {s.name for s in _schemas()}
    return (
        f"the model is not valid ONNX: {where} is {node.op_type}, which opset {opset} does not "
        f"have (an operator of one's own needs its own domain){suggestion(node.op_type, names)}"
    )


def _schemas() -> list[onnx.defs.OpSchema]:
    return [s for s in onnx.defs.get_all_schemas_with_history() if not s.domain]
