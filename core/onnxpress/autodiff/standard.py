"""The function bodies that the ONNX standard gives for some of its operators."""

from __future__ import annotations

from typing import Protocol, cast

import onnx
import onnx_ir as ir
from onnx import defs

_DOMAIN = "onnxpress.written_out"


class _Schema(Protocol):
    """What onnx's own type stubs leave out of `defs.OpSchema`."""

    @property
    def attributes(self) -> dict[str, defs.OpSchema.Attribute]: ...
    @property
    def function_opset_versions(self) -> list[int]: ...
    @property
    def context_dependent_function_opset_versions(self) -> list[int]: ...
    def get_function_with_opset_version(self, version: int, /) -> bytes: ...
    def get_context_dependent_function_with_opset_version(
        self, version: int, node: bytes, inputs: list[bytes], /
    ) -> bytes: ...


def standard_body(node: ir.Node, opset: int, name: str) -> ir.Function | None:
    """Return the body of an operator of ``ai.onnx`` as a function, None if it has none.

    Args:
        node: A node; some bodies depend on its inputs, their types and its attributes.
        opset: The version in use.
        name: What the function is to be called.
    """
    try:
        schema = cast("_Schema", defs.get_schema(node.op_type, opset, ""))
    except defs.SchemaError:
        return None
    found = _by_context(schema, node, opset) or _plain(schema, opset)
    if not found:
        return None
    body = onnx.FunctionProto.FromString(found)
    body.domain, body.name = _DOMAIN, name
    # A body is written for the version in which it came; that of the model has it unchanged.
    del body.opset_import[:]
    body.opset_import.append(onnx.helper.make_opsetid("", opset))
    _give_defaults(body, schema)
    _complete(body, len(node.outputs))
    return ir.serde.deserialize_function(body)


def _plain(schema: _Schema, opset: int) -> bytes:
    versions = [version for version in schema.function_opset_versions if version <= opset]
    return schema.get_function_with_opset_version(max(versions)) if versions else b""


def _by_context(schema: _Schema, node: ir.Node, opset: int) -> bytes:
    """Ask for the body that fits the inputs that a node has, and their types."""
    known = schema.context_dependent_function_opset_versions
    versions = [version for version in known if version <= opset]
    if not versions:
        return b""
    types = [_type(value).SerializeToString() for value in node.inputs]
    proto = ir.serde.serialize_node(node).SerializeToString()
    return schema.get_context_dependent_function_with_opset_version(max(versions), proto, types)


def _type(value: ir.Value | None) -> onnx.TypeProto:
    if value is None or value.dtype is None:
        return onnx.TypeProto()
    sizes = (
        None if value.shape is None else [d if isinstance(d, int) else None for d in value.shape]
    )
    return onnx.helper.make_tensor_type_proto(int(value.dtype), sizes)


def _give_defaults(body: onnx.FunctionProto, schema: _Schema) -> None:
    """Move attributes that have a default in the schema to those that a call need not give."""
    for name in list(body.attribute):
        default = schema.attributes[name].default_value
        if default.type:
            body.attribute.remove(name)
            body.attribute_proto.append(default)


def _complete(body: onnx.FunctionProto, count: int) -> None:
    """Let a body compute the first `count` outputs and no others.

    Bodies list all outputs of their operator, and lack nodes for those that a call leaves out.
    """
    del body.output[count:]
    computed = {name for node in body.node for name in node.output}
    for name in body.output:
        if name not in computed:
            body.node.append(onnx.helper.make_node("Constant", [], [name], value_int=0))
