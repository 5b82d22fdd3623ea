"""Laws of rules that move elements about: nothing is lost where many meet, no rank is needed."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxpress.autodiff import gradient
from onnxpress.graph.model import Model
from onnxpress.testing.gradients import compare, gradients_of
from tests.core.autodiff import rules
from tests.core.autodiff.cases import CASES, Case

assert rules  # registers the cases

RANKLESS = frozenset(
    {"Col2Im", "Compress", "Concat", "DFT", "DepthToSpace", "Dropout", "Expand", "Flatten"}
    | {"Gather", "GatherElements", "GatherND", "MaxUnpool", "Pad", "Reshape", "ScatterElements"}
    | {"ScatterND", "Slice", "SpaceToDepth", "Split", "Squeeze", "STFT", "Tile", "TopK"}
    | {"Transpose", "Trilu", "Unsqueeze"}
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
