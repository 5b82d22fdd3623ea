"""Writing out operators by the function bodies that the ONNX standard gives for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import onnx_ir as ir
from onnx import defs
from onnx_ir.passes.common import InlinePass

from onnxpress.graph.constants import STANDARD, subgraphs

if TYPE_CHECKING:
    from onnxpress.autodiff.backward import Walk


def expand_nodes(model: ir.Model, walk: Walk) -> bool:
    """Replace every node without a gradient rule that has a standard body, in place.

    Bodies may hold such nodes again; they are written out as well.

    Returns:
        Whether there were any.
    """
    any_done = False
    while (calls := [n for n in _nodes(model) if _lacks_rule(n, walk)]) and _expand(model, calls):
        any_done = True
    return any_done


def _nodes(model: ir.Model) -> list[ir.Node]:
    return [node for graph in model.graphs() for node in graph]


def _lacks_rule(node: ir.Node, walk: Walk) -> bool:
    if node.domain not in STANDARD or any(subgraphs(node)):
        return False
    return walk.moves(node) and walk.rule(node) is None


def _expand(model: ir.Model, calls: list[ir.Node]) -> bool:
    """Turn `calls` into calls of model functions, and inline those."""
    done = 0
    for number, node in enumerate(calls):
        body = _body(node, model.opset_imports.get("", 0))
        if body is None:
            continue
        done += 1
        body.domain, body.name = "onnxpress.expanded", f"{node.op_type}_{number}"
        function = ir.serde.deserialize_function(body)
        model.functions[function.identifier()] = function
        model.opset_imports["onnxpress.expanded"] = 1
        node.domain, node.op_type = body.domain, body.name
    if done:
        InlinePass()(model)
        model.opset_imports.pop("onnxpress.expanded", None)
    return bool(done)


def _body(node: ir.Node, opset: int) -> onnx.FunctionProto | None:
    """Return the standard's body for a node as a function of its own, or None."""
    try:
        schema = defs.get_schema(node.op_type, opset, "")
    except defs.SchemaError:
        return None
    body = onnx.FunctionProto()
    if schema.has_context_dependent_function:
        found = _by_context(schema, node, opset)
        if not found:
            return None
        body.ParseFromString(found)
    elif schema.has_function:
        body.CopyFrom(schema.function_body)
    else:
        return None
    for value, given in zip(body.output, node.outputs, strict=False):
        assert value or given  # one output per name
    _with_attributes(body, schema)
    return body


def _by_context(schema: defs.OpSchema, node: ir.Node, opset: int) -> bytes:
    """Ask for the body that fits the types of a node's inputs."""
    kinds = []
    for value in node.inputs:
        kind = onnx.TypeProto()
        if value is not None and value.dtype is not None:
            kind.tensor_type.elem_type = int(value.dtype)
            if value.shape is not None:
                for dim in value.shape:
                    added = kind.tensor_type.shape.dim.add()
                    if isinstance(dim, int):
                        added.dim_value = dim
        kinds.append(kind.SerializeToString())
    proto = ir.serde.serialize_node(node)
    versions = [v for v in schema.context_dependent_function_opset_versions if v <= opset]
    if not versions:
        return b""
    return schema.get_context_dependent_function_with_opset_version(
        max(versions), proto.SerializeToString(), kinds
    )


def _with_attributes(body: onnx.FunctionProto, schema: defs.OpSchema) -> None:
    """Let the body know the defaults of attributes that a node need not give."""
    named = {attribute.name for attribute in body.attribute_proto}
    for name in list(body.attribute):
        default = schema.attributes[name].default_value
        if default.type and name not in named:
            body.attribute.remove(name)
            body.attribute_proto.append(default)
