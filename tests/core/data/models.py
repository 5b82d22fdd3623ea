"""Models that only have inputs: each is passed on."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from onnxpress.graph.model import Model


def taking(*inputs: str) -> Model:
    """Make a model with these inputs, in the syntax of onnx.parser: ``float[N, 3, 8, 8] x``."""
    names = [text.rsplit(" ", 1)[1] for text in inputs]
    outputs = [
        text.rsplit(" ", 1)[0] + f" {name}_out" for text, name in zip(inputs, names, strict=True)
    ]
    body = "\n".join(f"{name}_out = Identity({name})" for name in names)
    head = '<ir_version: 10, opset_import: ["": 21]>'
    text = f"{head} g ({', '.join(inputs)}) => ({', '.join(outputs)}) {{ {body} }}"
    return Model(ir.from_proto(onnx.parser.parse_model(text)))


def images(size: int = 8) -> Model:
    """Make a model with one image input, ``x``, channels first."""
    return taking(f"float[N, 3, {size}, {size}] x")
