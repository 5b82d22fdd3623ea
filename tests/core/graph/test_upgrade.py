"""Laws: an upgraded model computes what it computed before, in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper, parser
from onnx.backend.test.case.node import collect_testcases

from onnxpress.data.batch import Feeds
from onnxpress.data.random import runnable_feeds
from onnxpress.errors import ModelError
from onnxpress.graph.history import KEPT_OPSET
from onnxpress.graph.model import Model
from onnxpress.graph.protos import to_proto
from onnxpress.graph.upgrade import UPGRADE, WORKING_IR, WORKING_OPSET
from tests.core.graph.upgrade_cases import CASES, REFUSED, Case
from tests.work import calls

ALL = [
    (f"{op}-{since}-{i}", c) for (op, since), cases in CASES.items() for i, c in enumerate(cases)
]
every_case = pytest.mark.parametrize("case", [c for _, c in ALL], ids=[name for name, _ in ALL])

WRAPPINGS: dict[str, Callable[[Case], onnx.ModelProto]] = {
    "plain": Case.model,
    "branch": Case.in_branch,
    "function": Case.in_function,
}


def outputs_of(proto: onnx.ModelProto | str, feeds: Feeds) -> list[Any]:
    """Run without any optimization, so that nothing but the operators themselves counts."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = proto if isinstance(proto, str) else proto.SerializeToString()
    session = ort.InferenceSession(source, options, ["CPUExecutionProvider"])
    results: list[Any] = session.run(None, dict(feeds))
    return results


def assert_same(before: Any, after: Any, tolerance: float = 1e-5) -> None:
    """Compare outputs; `tolerance` is relative to the largest element of a tensor."""
    assert type(before) is type(after)
    if isinstance(before, list):
        assert len(before) == len(after)
        for old, new in zip(before, after, strict=True):
            assert_same(old, new, tolerance)
    elif isinstance(before, np.ndarray) and before.dtype.kind in "fc":
        assert (before.dtype, before.shape) == (after.dtype, after.shape)
        largest = np.abs(before[np.isfinite(before)]).max(initial=1)
        np.testing.assert_allclose(after, before, rtol=0, atol=tolerance * float(largest))
    else:
        np.testing.assert_equal(after, before)


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
@every_case
def test_the_outputs_stay_the_same(case: Case, wrap: Callable[[Case], onnx.ModelProto]) -> None:
    old = wrap(case)
    model = Model.from_proto(old)
    new = to_proto(model.ir)
    assert model.provenance.source == {"ir_version": 8, "opset": case.opset, "producer": ""}
    assert model.opset == WORKING_OPSET
    assert new.ir_version == WORKING_IR
    assert all(i.version == WORKING_OPSET for f in new.functions for i in f.opset_import)
    assert_same(outputs_of(old, case.feeds), outputs_of(new, case.feeds))
    model.check()


@every_case
def test_optimized_they_stay_the_same_too(case: Case) -> None:
    old = case.model()
    after = Model.from_proto(old).run(case.feeds)
    assert_same(outputs_of(old, case.feeds), list(after.values()), tolerance=2e-3)


# onnx.version_converter 1.23 gives other outputs than the file had, without a word: it forgets
# that Upsample and the first Resize were asymmetric, and that Hardmax spanned several axes.
CHANGED_BY_CONVERTER = {"Upsample", "Resize", "Hardmax"}


@every_case
def test_the_converter_of_onnx_agrees_where_it_can(case: Case) -> None:
    old = case.model()
    if CHANGED_BY_CONVERTER & {node.op_type for node in old.graph.node}:
        pytest.skip("it changes this one")
    try:
        theirs = outputs_of(onnx.version_converter.convert_version(old, WORKING_OPSET), case.feeds)
    except Exception:  # noqa: BLE001  # it raises RuntimeError, ONNX Runtime its own
        pytest.skip("it does not convert this one")
    assert_same(theirs, outputs_of(to_proto(Model.from_proto(old).ir), case.feeds))


def test_every_rule_has_a_case() -> None:
    assert {(rule.op, rule.since) for rule in UPGRADE} == {*CASES, *REFUSED}


@pytest.mark.parametrize("case", REFUSED.values(), ids=[f"{o}-{v}" for o, v in REFUSED])
def test_what_has_no_exact_form_keeps_its_opset(case: Case) -> None:
    old = case.model()
    model = Model.from_proto(old)
    assert model.opset == case.opset
    assert "can't be brought to opset" in model.provenance.source[KEPT_OPSET]
    assert [n.op_type for n in model.ir.graph] == [n.op_type for n in old.graph.node]
    assert_same(outputs_of(old, case.feeds), list(model.run(case.feeds).values()))
    with pytest.raises(ModelError, match="can't be changed"):
        model.edit()


def test_functions_are_upgraded_from_their_own_version() -> None:
    case = CASES["ReduceMax", 18][2]
    proto = case.in_function()
    proto.functions[0].opset_import[0].version = 13
    assert proto.opset_import[0].version == 17
    model = Model.from_proto(proto)
    assert [f.opset_imports for f in model.ir.functions.values()] == [{"": WORKING_OPSET}]
    assert_same(outputs_of(proto, case.feeds), outputs_of(to_proto(model.ir), case.feeds))


def test_an_attribute_given_by_the_caller_becomes_an_input_too() -> None:
    proto = parser.parse_model(
        """<ir_version: 8, opset_import: ["": 12, "local": 1]>
        g (float[2,3,4] x) => (float[] y) { y = local.total<which=[0, 2]>(x) }
        <domain: "local", opset_import: ["": 12]>
        total <which> (a) => (b) { b = ReduceSum<axes: ints = @which, keepdims=0>(a) }"""
    )
    feeds = {"x": np.arange(24, dtype=np.float32).reshape(2, 3, 4)}
    model = Model.from_proto(proto)
    assert model.opset == WORKING_OPSET
    assert_same(outputs_of(proto, feeds), outputs_of(to_proto(model.ir), feeds))


def test_an_attribute_given_by_the_caller_may_be_in_the_way() -> None:
    proto = parser.parse_model(
        """<ir_version: 8, opset_import: ["": 12, "local": 1]>
        g (float[2,3] x) => (float[2,3] y) { y = local.soft<along=1>(x) }
        <domain: "local", opset_import: ["": 12]>
        soft <along> (a) => (b) { b = Softmax<axis: int = @along>(a) }"""
    )
    model = Model.from_proto(proto)
    assert "set by the caller" in model.provenance.source[KEPT_OPSET]
    assert model.opset == 12


def test_a_newer_opset_stays() -> None:
    text = '<ir_version: 11, opset_import: ["": 22]> g (float[2] x) => (float[2] y) {y = Relu(x)}'
    model = Model.from_proto(parser.parse_model(text))
    assert (model.opset, model.ir.ir_version) == (22, 11)


def test_other_domains_stay() -> None:
    proto = parser.parse_model(
        """<ir_version: 6, opset_import: ["": 9, "com.example": 3, "ai.onnx.ml": 1]>
        g (float[2,3] x) => (float[2,3] y) {
            a = com.example.Clip<min=0.5>(x) b = ai.onnx.ml.Scaler<offset=[1.0]>(a) y = Clip(b) }"""
    )
    model = Model.from_proto(proto)
    assert model.ir.opset_imports == {"": WORKING_OPSET, "com.example": 3, "ai.onnx.ml": 1}
    custom, scaler, _ = model.ir.graph
    assert custom.attributes.get_float("min") == 0.5
    assert scaler.domain == "ai.onnx.ml"


def test_names_of_new_tensors_do_not_clash() -> None:
    proto = parser.parse_model(
        """<ir_version: 6, opset_import: ["": 10]>
        g (float[2] x, float[2] y_min) => (float[] y, float[] z) {
            y = Clip<min=0.5>(x) z = Add(y, y_min) }"""
    )
    one = np.ones(2, np.float32)
    assert Model.from_proto(proto).run({"x": -one, "y_min": one})["z"].tolist() == [1.5, 1.5]


def chain(length: int) -> onnx.ModelProto:
    nodes = [helper.make_node("Clip", [f"t{i}"], [f"t{i + 1}"], min=0.0) for i in range(length)]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("t0", 1, [2])], [value(f"t{length}", 1, [2])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 10)], ir_version=6)


def test_the_work_grows_with_the_number_of_nodes_not_with_its_square() -> None:
    def work(length: int) -> int:
        proto = chain(length)
        return calls(lambda: Model.from_proto(proto))

    assert len(Model.from_proto(chain(10)).ir.graph.initializers) == 10
    assert work(800) < 10 * work(100)  # 8 is linear, 64 quadratic


def shared_models() -> list[str]:
    folder = Path(__file__).resolve().parents[4] / "shared" / "models"
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*.onnx"))


NOT_RUN_BY_ONNX_RUNTIME = {
    "finn_mvau_custom_ops/cybsec_PE_SIMD.onnx": "No opset import for domain 'finn",
    "honk_kws/google-speech-dataset-full.onnx": "before ONNX 1.0",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", shared_models())
def test_real_models_compute_the_same(name: str, shared: Path) -> None:
    path = shared / "models" / name
    if name in NOT_RUN_BY_ONNX_RUNTIME:
        with pytest.raises(ModelError, match=NOT_RUN_BY_ONNX_RUNTIME[name]):
            Model.load(path)
        return
    model = Model.load(path)
    feeds = runnable_feeds(model, batch=2 if "?" in str(model.inputs[0].shape) else 1)
    assert model.opset == WORKING_OPSET
    assert_same(outputs_of(str(path), feeds), outputs_of(to_proto(model.ir), feeds))
    model.check()


# The operators of ONNX's own test suite, at every older version that ONNX Runtime takes.


def older_forms(case: Any) -> Iterator[tuple[onnx.ModelProto, Feeds, list[Any]]]:
    """Yield the case at older opsets, with its inputs and what it gives there."""
    inputs = case.data_sets[0][0] if case.data_sets else []
    for opset in older_opsets({node.op_type for node in case.model.graph.node}):
        proto = onnx.ModelProto()
        proto.CopyFrom(case.model)
        proto.ir_version = min(proto.ir_version, WORKING_IR)
        for entry in proto.opset_import:
            if not entry.domain:
                entry.version = opset
        names = [value.name for value in proto.graph.input]
        feeds = {
            name: numpy_helper.to_array(x) if isinstance(x, onnx.TensorProto) else x
            for name, x in zip(names, inputs, strict=False)
        }
        try:
            yield proto, feeds, outputs_of(proto, feeds)
        except Exception:  # noqa: BLE001  # written for a newer form of the operator
            continue


def older_opsets(ops: set[str]) -> set[int]:
    """Return the opsets right before and at every change of the operators, from 7 to 20."""
    changes = {s.since_version for op in ops for s in SCHEMAS.get(op, [])}
    return {v for c in changes for v in (c - 1, c) if 7 <= v < WORKING_OPSET} | {7, 20}


SCHEMAS: dict[str, list[onnx.defs.OpSchema]] = {}
for schema in onnx.defs.get_all_schemas_with_history():
    if not schema.domain:
        SCHEMAS.setdefault(schema.name, []).append(schema)

RANDOM = ("bernoulli", "dropout", "random", "multinomial")
NEWER_THAN_THEIR_OPSET = "has unsupported type tensor(float8"  # ONNX Runtime does not look


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of building the cases
def test_the_operators_of_the_standards_own_tests() -> None:
    compared = 0
    for case in collect_testcases(None):
        if any(word in case.name for word in RANDOM):
            continue
        for old, feeds, before in older_forms(case):
            try:
                model = Model.from_proto(old)
            except ModelError as error:
                assert NEWER_THAN_THEIR_OPSET in str(error), case.name  # noqa: PT017
                continue
            if KEPT_OPSET in model.provenance.source:
                assert case.name == "test_scan_sum"
                continue
            assert_same(before, outputs_of(to_proto(model.ir), feeds))
            compared += 1
    assert compared > 4000
