"""Which layers are chosen, and how what is left alone is explained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxpress.errors import UnknownNameError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress.testing import model_from_text
from onnxpress_pruning import MagnitudePruning
from tests.plugins.pruning.models import products, pruned, weights_of, zeros


def three() -> Model:
    rng = np.random.default_rng(0)
    return products(**{n: rng.standard_normal((5, 4)).astype(np.float32) for n in "abc"})


def tied() -> Model:
    """Return a language model whose embedding is also, transposed, its last matrix."""
    return model_from_text(
        """g (int64[N] ids) => (float[N,6] y) {
            e = Gather(table, ids)
            t = Transpose(table)
            y = MatMul(e, t)
        }""",
        table=np.arange(1, 25, dtype=np.float32).reshape(6, 4),
    )


def reasons(model: Model, **options: Any) -> dict[str, str]:
    job = Job()
    MagnitudePruning(**options).apply(model, job)
    return {declined.subject: declined.reason for declined in job.declined}


@pytest.mark.parametrize(
    ("options", "touched"),
    [
        ({"layers": ["use_a"]}, "a"),
        ({"layers": "use_[ab]"}, "ab"),
        ({"layers": "re:use_(a|c)"}, "ac"),
        ({"layers": "op:MatMul"}, "abc"),
        ({"exclude": "use_b"}, "ac"),
        ({"layers": ["b"]}, "b"),  # by the name of the weight
        ({"sparsity": 0, "sparsities": {"use_c": 0.5}}, "c"),
    ],
)
def test_layers_are_chosen_by_pattern(options: dict[str, Any], touched: str) -> None:
    after = pruned(three(), **options)
    assert {name for name, tensor in after.items() if zeros(tensor)} == set(touched)


@pytest.mark.parametrize(
    "sparsities",
    [{"use_a": 0.25, "use_*": 0.75}, ["use_a=0.25", "use_*=0.75"]],
)
def test_the_first_pattern_that_fits_gives_a_layer_its_share(sparsities: Any) -> None:
    after = pruned(three(), sparsities=sparsities)
    assert {name: zeros(tensor) for name, tensor in after.items()} == {"a": 5, "b": 15, "c": 15}


def test_a_share_as_one_text() -> None:
    assert zeros(pruned(three(), sparsities="op:MatMul=0.1")["b"]) == 2


@pytest.mark.parametrize("option", ["layers", "exclude"])
def test_a_pattern_that_matches_nothing_names_the_nearest(option: str) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'use_a'"):
        pruned(three(), **{option: "use_aa"})


def test_a_share_for_no_layer_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="conv1"):
        pruned(three(), sparsities={"conv1": 0.5})


def test_a_tied_embedding_is_pruned_once() -> None:
    job = Job()
    MagnitudePruning(sparsity=0.5).apply(tied(), job)
    assert [c.details["zeros"] for c in job.changed] == [12]
    assert not job.declined


def test_a_tensor_of_an_excluded_layer_stays_for_all() -> None:
    (reason,) = reasons(tied(), exclude="op:Gather").values()
    assert "table is also the weight of" in reason
    assert "excluded" in reason


def test_integers_are_declined() -> None:
    arrays: dict[str, Any] = {"w": np.arange(-8, 8, dtype=np.int8).reshape(4, 4)}
    arrays |= {"s": np.float32(0.1), "z": np.int8(0)}
    model = Model.from_proto(
        helper.make_model(
            helper.make_graph(
                [
                    helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"]),
                    helper.make_node("MatMul", ["x", "d"], ["y"], "product"),
                ],
                "g",
                [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
                [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
                [numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items()],
            ),
            opset_imports=[helper.make_opsetid("", 21)],
            ir_version=10,
        )
    )
    expected = "w is stored as int8, not as floating point: prune before quantizing"
    assert reasons(model) == {"product": expected}


def test_weights_that_callers_may_override_are_declined() -> None:
    model = model_from_text(
        "g (float[N,4] x, float[4,4] w) => (float[N,4] y) { y = MatMul(x, w) }",
        w=np.ones((4, 4), np.float32),
    )
    assert "freeze" in reasons(model)["w"]
    frozen = MagnitudePruning(freeze=True).apply(model, Job())
    assert [value.name for value in frozen.ir.graph.inputs] == ["x"]
    assert [zeros(array) for array in weights_of(frozen).values()] == [8]


@pytest.mark.parametrize(
    ("weight", "options", "reason"),
    [
        ([[1, 2, 3, 4]], {"sparsity": 0.1}, "rounds to none"),
        ([[5]], {"sparsity": 0.6}, "keeps at least one"),
        ([[0, 2, 0, 4]], {"sparsity": 0.5}, "already"),
    ],
)
def test_what_is_left_alone_says_why(weight: Any, options: Any, reason: str) -> None:
    assert reason in reasons(products(w=np.array(weight, np.float32)), **options)["use_w"]


def test_a_layer_of_large_weights_says_that_others_were_smaller() -> None:
    model = products(small=np.ones((1, 4), np.float32), large=np.full((1, 4), 9, np.float32))
    assert "smallest" in reasons(model, sparsity=0.25, scope="global")["use_large"]
