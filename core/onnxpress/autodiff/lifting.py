"""Lifting constants out of bodies: a weight stored in a branch becomes one of the main graph.

Bodies read it from there all the same, and a gradient can be asked for by its name.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxpress.graph.constants import constant_tensor


def lift_constants(model: ir.Model) -> None:
    """Move what bodies store, initializers and Constants, to the main graph, in place.

    A name that another tensor has already gets a number; the first one keeps it.
    """
    main = model.graph
    taken: set[str | None] = {*main.initializers, *(v.name for node in main for v in node.outputs)}
    taken.update(value.name for graph in model.graphs() for value in _kept(graph))
    for graph in model.graphs():
        if graph is main:
            continue
        for value in list(graph.initializers.values()):
            graph.initializers.pop(value.name or "")
            _store(main, value, value.const_value, taken)
        for node in [node for node in graph if node.op_type == "Constant"]:
            tensor = constant_tensor(node.outputs[0])
            if tensor is not None:
                _store(main, node.outputs[0], tensor, taken)
                graph.remove(node)


def _kept(graph: ir.Graph) -> list[ir.Value]:
    """Return the values of a body that are not stored, and stay where they are."""
    made = [v for node in graph if node.op_type != "Constant" for v in node.outputs]
    return [*graph.inputs, *made]


def _store(
    main: ir.Graph, value: ir.Value, tensor: ir.TensorProtocol | None, taken: set[str | None]
) -> None:
    """Add an initializer to the main graph, and let it stand for `value` everywhere."""
    assert tensor is not None, f"nothing is stored for {value.name!r}"
    name, number = value.name, 0
    while name in taken:
        number += 1
        name = f"{value.name}_{number}"
    taken.add(name)
    lifted = ir.Value(
        name=name, shape=ir.Shape(tensor.shape.numpy()), type=ir.TensorType(tensor.dtype)
    )
    lifted.const_value = _renamed(tensor, name)
    main.register_initializer(lifted)
    value.replace_all_uses_with(lifted, replace_graph_outputs=True)


def _renamed(tensor: ir.TensorProtocol, name: str | None) -> ir.TensorProtocol:
    """Return the same elements under a name; the tensor itself may belong to other models too."""
    if tensor.dtype == ir.DataType.STRING:
        return ir.StringTensor(tensor.numpy(), name=name)
    return ir.Tensor(tensor.numpy(), dtype=tensor.dtype, name=name)
