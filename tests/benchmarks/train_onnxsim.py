"""onnxsim's training step for `train_step`; runs in an interpreter that has onnxsim.

onnxsim 0.8 makes a step of a model whose shapes are all fixed and whose loss is an output of
the graph, for initializers asked for by name.  So it gets the fixed batch, shapes and constants
folded by its own simplifier (without fusions, which would merge BatchNormalization away), the
cross-entropy as Softmax, Log and a product with one-hot labels, and its own SGD with momentum
0.9.  BatchNormalization has a rule in inference form only: statistics stay as they are, which
is less work than the training form of the other contenders.

A net refused for a node that can be spelt otherwise at no cost is tried again so spelt.
"""

from __future__ import annotations

import argparse
from time import perf_counter
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxsim  # type: ignore[import-not-found]  # not in our environment, on purpose
from onnx import helper, numpy_helper

from onnxpress.measure.memory import peak_memory_mb
from tests.benchmarks.train_contenders import LR, Step, tell


def limit_threads(count: int) -> None:
    """Let the sessions that onnxsim makes have so many threads; it has no option for that."""

    class Options(onnxruntime.SessionOptions):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.intra_op_num_threads = count

    onnxruntime.SessionOptions = Options


def store(graph: onnx.GraphProto, name: str, value: Any) -> str:
    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def fixed(model: onnx.ModelProto, shape: tuple[int, ...]) -> onnx.ModelProto:
    """Return the model for one shape of input, shapes computed, constants as initializers."""
    found, _ = onnxsim.simplify(
        model, perform_optimization=False, overwrite_input_shapes={"x": list(shape)}
    )
    simple: onnx.ModelProto = onnx.shape_inference.infer_shapes(found)
    for node in [n for n in simple.graph.node if n.op_type == "Constant"]:
        store(simple.graph, node.output[0], numpy_helper.to_array(node.attribute[0].t))
        simple.graph.node.remove(node)
    return simple


def shapes(graph: onnx.GraphProto) -> dict[str, list[int]]:
    values = [*graph.input, *graph.value_info, *graph.output]
    return {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}


def respell(graph: onnx.GraphProto) -> list[str]:
    """Spell Flatten and Gather of many axes with Reshape; return what was done."""
    known, nodes, done = shapes(graph), list(graph.node), []

    def reshape(source: str, shape: list[int], result: str) -> onnx.NodeProto:
        return helper.make_node(
            "Reshape", [source, store(graph, f"{result}.shape", shape)], [result]
        )

    del graph.node[:]
    for node in nodes:
        (result, *_), inputs = node.output, node.input
        if node.op_type == "Flatten":
            graph.node.append(reshape(inputs[0], known[result], result))
            done.append("Flatten as Reshape")
        elif node.op_type == "Gather" and len(known.get(inputs[1], ())) > 1:
            flat = reshape(inputs[1], [-1], f"{result}.flat")
            back = reshape(f"{result}.rows", known[result], result)
            node.input[1], node.output[0] = flat.output[0], back.input[0]
            graph.node.extend([flat, node, back])
            done.append("Gather with flat indices")
        else:
            graph.node.append(node)
    return sorted(set(done))


def add_loss(graph: onnx.GraphProto) -> None:
    """Replace the output by its cross-entropy with the rows of the input `labels`."""
    scores, shape = graph.output[0].name, shapes(graph)[graph.output[0].name]
    axes, scale = store(graph, "axes", [0, 1]), store(graph, "scale", np.float32(-1 / shape[0]))
    graph.input.append(helper.make_tensor_value_info("labels", onnx.TensorProto.FLOAT, shape))
    graph.node.extend(
        [
            helper.make_node("Softmax", [scores], ["chances"], axis=-1),
            helper.make_node("Log", ["chances"], ["logs"]),
            helper.make_node("Mul", ["logs", "labels"], ["chosen"]),
            helper.make_node("ReduceSum", ["chosen", axes], ["total"], keepdims=0),
            helper.make_node("Mul", ["total", scale], ["loss"]),
        ]
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("loss", onnx.TensorProto.FLOAT, []))


def parameters(graph: onnx.GraphProto) -> list[str]:
    """Return the float tensors with axes, but not the statistics of BatchNormalization."""
    normalised = [n for n in graph.node if n.op_type == "BatchNormalization"]
    statistics = {name for node in normalised for name in node.input[3:]}
    floats = [t for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT and t.dims]
    return [t.name for t in floats if t.name not in statistics]


def build(asked: argparse.Namespace, shape: tuple[int, ...], *, spelt: bool) -> tuple[Any, Any]:
    """Return onnxsim's loop, its step built, and facts about it.

    Raises:
        ValueError: onnxsim refuses the model.
    """
    model = onnx.load(asked.model)
    started = perf_counter()
    simple = fixed(model, shape)
    spellings = respell(simple.graph) if spelt else []
    add_loss(simple.graph)
    wanted = parameters(simple.graph)
    loop = onnxsim.compile_training_loop(simple, "loss", wanted, optimizer="sgd_momentum")
    nodes = len(model.graph.node), len(loop.step_graph.model.graph.node)
    facts = {"building": perf_counter() - started, "nodes": nodes, "spellings": spellings}
    frozen = any(n.op_type == "BatchNormalization" for n in simple.graph.node)
    return loop, facts | {"frozen": frozen, "parameters": len(wanted)}


def reason(error: ValueError) -> str:
    """Return the first clause of a refusal, without the list of everything that it can do."""
    return str(error).splitlines()[0].split("; ")[0]


def make_step(asked: argparse.Namespace) -> Step | None:
    """Return one step as a function, or tell why onnxsim refuses the net."""
    limit_threads(asked.threads)
    arrays = dict(np.load(asked.arrays))
    before, shape = peak_memory_mb(), arrays["x"].shape
    refused = None
    try:
        loop, facts = build(asked, shape, spelt=False)
    except ValueError as first:
        refused = reason(first)
        try:
            loop, facts = build(asked, shape, spelt=True)
        except ValueError as second:
            tell({"refuses": reason(second)})
            return None
    tell(facts | {"before": before, "refused": refused})
    classes = shapes(loop.model.graph)["labels"][1]
    feeds = {"x": arrays["x"], "labels": np.eye(classes, dtype=np.float32)[arrays["y"]]}
    return lambda: float(loop(feeds, lr=LR))
