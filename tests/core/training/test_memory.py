"""What a training step must not hold in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from onnxpress.data.batch import Array
from onnxpress.graph.constants import subgraphs
from onnxpress.graph.protos import to_proto
from onnxpress.ordering import places, sort_nodes
from onnxpress.training.optimizers import make_optimizer
from onnxpress.training.running import Runner
from onnxpress.training.step import Plan, Step, build_step
from onnxpress.training.update import COUNT, RATE, Update
from onnxpress_training.objectives import CrossEntropy
from tests.graphs import graph, normal

ROWS, COLUMNS = 1000, 12
TABLE = normal(ROWS, COLUMNS)
IDS = np.random.default_rng(0).integers(-ROWS, ROWS, (8, 50))
LABELS = np.arange(8) % COLUMNS
RATES = {RATE: np.array(0.1, np.float32), COUNT: np.array(1, np.float32)}


def step(optimizer: str, kind: str = "int64", accumulate: int = 1) -> Step:
    """Return one that trains a table of which few rows are read."""
    model = graph(
        f"""g ({kind}[8,50] x) => (float[8,{COLUMNS}] y) {{
            t = Gather(table, x)
            y = ReduceMean<keepdims=0>(t, axis)
        }}""",
        table=TABLE,
        axis=np.array([1]),
    )
    update = Update(make_optimizer(optimizer), accumulate=accumulate)
    plan = Plan(("table",), (CrossEntropy(),), update)
    return build_step(model, plan, LABELS)


def feeds(built: Step, ids: Array = IDS) -> dict[str, Array]:
    return {"x": ids, built.labels[0].name: LABELS, **RATES}


def stored_when_loaded(built: Step, folder: Path) -> list[int]:
    """Return how many elements each constant has that ONNX Runtime keeps."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 4
    proto = to_proto(built.model.ir).SerializeToString()
    ort.InferenceSession(proto, options, providers=["CPUExecutionProvider"])
    main = onnx.load(options.optimized_model_filepath).graph
    nodes = [a.g for node in main.node for a in node.attribute if a.HasField("g")]
    return [int(np.prod(t.dims)) for graph in (main, *nodes) for t in graph.initializer]


def test_no_table_of_zeros_is_stored(tmp_path: Path) -> None:
    """ONNX Runtime would compute a constant when it loads the graph, and keep it."""
    assert max(stored_when_loaded(step("sgd"), tmp_path)) < TABLE.size


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_rows_get_their_gradients(kind: str) -> None:
    """A step of gradient descent against the sum over rows, written with NumPy."""
    built = step("sgd", kind)
    runner = Runner(built, threads=1)
    runner.run(feeds(built, IDS.astype(kind)))
    scores = TABLE[IDS].mean(1).astype(np.float64)
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    chances[np.arange(8), LABELS] -= 1
    slope = np.zeros(TABLE.shape)
    np.add.at(slope, IDS, np.repeat(chances[:, None] / 8 / 50, 50, axis=1))
    np.testing.assert_allclose(runner.state()["table"], TABLE - 0.1 * slope, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd:momentum=0.9", "adam", "adamw", "lamb"])
def test_an_update_writes_its_results_in_place(optimizer: str) -> None:
    """No copy is made of what is computed in the branch."""
    built = step(optimizer)
    update = next(node for node in built.model.ir.graph if node.op_type == "If")
    branch, _ = subgraphs(update)
    assert "Identity" not in {node.op_type for node in branch}
    assert len(branch.outputs) == len(built.slots)


def test_sizes_are_measured_when_a_tensor_is_made() -> None:
    model = graph(
        """g (float[N,4] x) => (float[N,4] y) {
            a = Neg(x)
            b = Neg(a)
            c = Neg(b)
            s = Shape(a)
            y = Reshape(c, s)
        }"""
    )
    proto = to_proto(model.ir)
    sort_nodes(proto.graph, places(proto.graph))
    assert [node.output[0] for node in proto.graph.node] == ["a", "s", "b", "c", "y"]


def test_no_zeros_are_stored_for_accumulated_gradients(tmp_path: Path) -> None:
    stored = stored_when_loaded(step("sgd", accumulate=4), tmp_path)
    assert max(stored) < TABLE.size
