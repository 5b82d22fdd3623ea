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


@pytest.mark.parametrize(("rows", "columns", "taken"), [(512, 64, 8192), (2, 384, 2048)])
def test_rows_that_are_taken_often_get_the_sum(rows: int, columns: int, taken: int) -> None:
    """ONNX Runtime's threads race for them in ScatterND, so it must not be used here."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 7, taken) % rows
    weights = rng.standard_normal((taken, columns)).astype(np.float32)
    wanted = np.zeros((rows, columns))
    np.add.at(wanted, ids, weights)
    table = np.zeros((rows, columns), np.float32)
    found = gradient(_gather(table, taken), {"y": "c"}, "table")
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
