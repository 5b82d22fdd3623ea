"""ONNX's own operator tests: our gradients agree with differences, for every operator with a rule.

The table of rules and the standard's function bodies are the list of tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest
from onnx import defs

from onnxpress.autodiff import GRADIENTS
from onnxpress.autodiff.activity import NO_GRADIENT
from onnxpress.errors import MissingRuleError, OnnxpressError
from tests.core.autodiff.directions import NOT_FINITE, directions
from tests.core.autodiff.onnx_cases import OnnxCase, onnx_cases

pytestmark = pytest.mark.slow  # collecting ONNX's cases takes 7 s, checking them a minute or two

_NOWHERE = "the standard's body has 0/0 where a row may look nowhere; the rule has not"
SKIPPED: Final[Mapping[str, str]] = {
    "test_attention_causal_boolmask_nan_robustness_expanded": _NOWHERE,
    "test_attention_23_boolmask_fullymasked_row_nan_robustness_expanded": _NOWHERE,
    "test_attention_4d_causal_nonpad_negative_offset_structural_empty_expanded": _NOWHERE,
    "test_attention_23_fullymasked_qk_matmul_output_mode3_zero_expanded": _NOWHERE,
    "test_attention_24_fullymasked_qk_matmul_output_mode3_zero_expanded": _NOWHERE,
    "test_attention_local_window_gqa_rank4_mask_expanded": _NOWHERE,
    "test_acosh_example": "the slope at 1 is infinite",
    "test_training_dropout_default": "random, and other numbers at every run",
    "test_training_dropout_default_mask": "random, and other numbers at every run",
    "test_training_dropout": "random, and other numbers at every run",
    "test_training_dropout_mask": "random, and other numbers at every run",
    "test_range_float_type_positive_delta": "a Range counts as constant",
    "test_range_float_type_positive_delta_expanded": "its length follows from its inputs",
    "test_melweightmatrix": "a MelWeightMatrix counts as constant",
    "test_scan_sum": "Scan of opset 8 can't be brought to a newer opset",
}


def _operators() -> list[str]:
    ruled = {rule.op for rule in GRADIENTS if not rule.domain}
    schemas: Sequence[Any] = defs.get_all_schemas()  # onnx's stubs lack what is asked of them here
    bodied = {
        schema.name
        for schema in schemas
        if not schema.domain and (schema.has_function or schema.has_context_dependent_function)
    }
    return sorted((ruled | bodied) - NO_GRADIENT)


@pytest.mark.parametrize("op", _operators())
def test_gradients_agree_with_differences(op: str) -> None:
    problems = {case.name: _problem(case) for case in onnx_cases().get(op, ())}
    wrong = {name: said for name, said in problems.items() if said}
    assert not wrong, "\n".join(f"{name}: {said}" for name, said in wrong.items())


def test_most_cases_are_compared() -> None:
    """What ONNX Runtime does not run, or what is infinite, must stay the exception."""
    found = [_compared(case) for op in _SAMPLE for case in onnx_cases()[op]]
    assert len(found) > 100
    assert sum(found) > 0.95 * len(found)


_SAMPLE = (
    "Add",
    "Attention",
    "Conv",
    "Gemm",
    "LayerNormalization",
    "MatMul",
    "ReduceMean",
    "Softmax",
)


def _compared(case: OnnxCase) -> bool:
    made = directions(case)
    return made is not None and made.problem() != NOT_FINITE


def test_skipped_cases_exist() -> None:
    names = {case.name for cases in onnx_cases().values() for case in cases}
    assert set(SKIPPED) <= names, set(SKIPPED) - names


def _problem(case: OnnxCase) -> str:
    if case.name in SKIPPED:
        return ""
    try:
        made = directions(case)
        said = "" if made is None else made.problem() or made.problem(seed=1)
    except MissingRuleError as error:
        ruled = GRADIENTS.find(case.proto.graph.node[0].op_type)
        return str(error) if ruled and len(case.proto.graph.node) == 1 else ""
    except OnnxpressError as error:
        return f"{type(error).__name__}: {error}"
    return "" if said == NOT_FINITE else said
