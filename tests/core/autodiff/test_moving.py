"""Laws of rules that move elements about: nothing is lost where many meet, no rank is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxpress.autodiff import gradient
from onnxpress.graph.model import Model
from onnxpress.testing.gradients import compare, gradients_of
from tests.core.autodiff import rules
from tests.core.autodiff.cases import CASES, Case
from tests.graphs import graph, normal

assert rules  # registers the cases

RANKLESS = frozenset(
    {"Col2Im", "Compress", "Concat", "DFT", "DepthToSpace", "Dropout", "Expand", "Flatten"}
    | {"Gather", "GatherElements", "GatherND", "MaxUnpool", "Pad", "Reshape", "ScatterElements"}
    | {"ScatterND", "Slice", "SpaceToDepth", "Split", "Squeeze", "STFT", "Tile", "TopK"}
    | {"TensorScatter", "Transpose", "Trilu", "Unsqueeze"}
)


@pytest.mark.parametrize("rows", [2, 512])
def test_rows_that_are_taken_often_get_the_sum(rows: int) -> None:
    """ONNX Runtime's threads race for them in ScatterND; it shows in one run out of ten or so."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 2, 8192)
    weights = rng.standard_normal((8192, 384)).astype(np.float32)
    wanted = np.zeros((rows, 384))
    np.add.at(wanted, ids, weights)
    found = gradient(_gather(np.zeros((rows, 384), np.float32), 8192), {"y": "c"}, "table")
    assert not [n for n in found.ir.graph if n.op_type == "ScatterND" and n.attributes]
    for _ in range(3):
        result = found.run({"ids": ids, "c": weights})["grad.table"]
        compare("the gradient of the table", result, wanted, 1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_angles_that_many_positions_share_get_the_sum(dtype: type[np.floating[Any]]) -> None:
    """As above, for the caches of RotaryEmbedding; in half precision ONNX has no such sum."""
    batch, length, heads, pairs = 4, 512, 2, 8
    kind = np.dtype(dtype).name.replace("float32", "float")
    full, table = f"{kind}[{batch},{heads},{length},{2 * pairs}]", f"{kind}[600,{pairs}]"
    model = graph(
        f"""<ir_version: 10, opset_import: ["": 23]>
        g ({full} x, {table} cos, {table} sin, int64[{batch},{length}] at) => ({full} y) {{
            y = RotaryEmbedding(x, cos, sin, at)
        }}"""
    )
    x, c = (normal(batch, heads, length, 2 * pairs, seed=s).astype(dtype) for s in (0, 1))
    cos, sin = (normal(600, pairs, seed=s).astype(dtype) for s in (2, 3))
    places = np.random.default_rng(0).integers(0, 2, (batch, length))
    wanted = np.zeros((600, pairs))
    a, b = np.split(x.astype(np.float64), 2, -1)
    da, db = np.split(c.astype(np.float64), 2, -1)
    np.add.at(wanted, places, (da * a + db * b).sum(1))
    found = gradient(model, {"y": "c"}, "cos")
    assert not [n for n in found.ir.graph if n.op_type == "ScatterND" and n.attributes]
    result = found.run({"x": x, "cos": cos, "sin": sin, "at": places, "c": c})["grad.cos"]
    assert result.dtype == dtype
    compare("the gradient of the cosines", result, wanted, 1e-5 if dtype is np.float32 else 1e-2)


@pytest.mark.parametrize("case", [c for c in CASES if c.dynamic and c.op in RANKLESS], ids=str)
def test_a_rule_needs_no_ranks(case: Case) -> None:
    names = [f"x{i}" for i in case.floats]
    wanted, _ = gradients_of(case.model(), case.feeds(), names, case.output)
    proto = case.proto(np.dtype(np.float32))
    for given in proto.graph.input:
        given.type.tensor_type.ClearField("shape")
    found, _ = gradients_of(Model.from_proto(proto), case.feeds(), names, case.output)
    for name in names:
        compare(f"d {case.output} / d {name} of {case}", found[name], wanted[name], 1e-4)


def _gather(table: np.ndarray[tuple[int, ...], np.dtype[np.float32]], taken: int) -> Model:
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [taken])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [taken, table.shape[1]])
    node = helper.make_node("Gather", ["table", "ids"], ["y"])
    stored = [numpy_helper.from_array(table, "table")]
    graph = helper.make_graph([node], "g", [ids], [y], stored)
    opsets = [helper.make_opsetid("", 21)]
    return Model.from_proto(helper.make_model(graph, opset_imports=opsets, ir_version=10))
