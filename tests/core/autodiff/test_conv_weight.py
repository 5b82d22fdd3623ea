"""All forms of the gradient of convolution weights give the same, whichever is chosen."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from onnxpress.autodiff.rules import conv_weight
from onnxpress.autodiff.rules.conv_weight import Correlation
from onnxpress.autodiff.rules.convolution import gradient_of, kernel_of, ranked
from onnxpress.autodiff.rules.window_attributes import window_of
from onnxpress.autodiff.site import Site
from onnxpress.autodiff.table import Gradients
from onnxpress.autodiff.tensor import Tensor
from onnxpress.rules import Rule
from onnxpress.testing.gradients import compare, gradients_of
from tests.core.autodiff import rules
from tests.core.autodiff.cases import CASES, Case

assert rules  # registers the cases

Form = Callable[[Correlation], Tensor]

CONVOLUTIONS = [c for c in CASES if c.op == "Conv" and 1 in c.floats]


def group(case: Case) -> int:
    return int(case.attributes.get("group", 1))


def channel_by_channel(case: Case) -> bool:
    weight = case.inputs[1]
    return weight is not None and weight.shape[:2] == (group(case), 1)


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_one_product_per_offset(case: Case) -> None:
    check(case, conv_weight.per_offset)


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_swapped_convolution(case: Case) -> None:
    check(case, conv_weight.compact)
    check(case, conv_weight.compact, symbolic=True)


@pytest.mark.parametrize("case", [c for c in CONVOLUTIONS if group(c) == 1], ids=str)
def test_joined_slices(case: Case) -> None:
    check(case, conv_weight.joined)


@pytest.mark.parametrize("case", [c for c in CONVOLUTIONS if channel_by_channel(c)], ids=str)
def test_every_channel_a_group(case: Case) -> None:
    check(case, conv_weight.depthwise)


@pytest.mark.parametrize("case", [c for c in CONVOLUTIONS if c.inputs[1].size < 100], ids=str)  # type: ignore[union-attr]
def test_unknown_sizes_of_inputs_with_known_kernels(case: Case) -> None:
    """As in most trained networks: the weights are stored, the batch has any size."""
    if "kernel_shape" in case.attributes:
        for form in (conv_weight.per_offset, conv_weight.joined):
            if group(case) == 1:
                check(case, form, symbolic=True)


def check(case: Case, form: Form, *, symbolic: bool = False) -> None:
    """Compare the weight gradient in one form with that in the form which is chosen."""

    def rule(at: Site) -> Gradients:
        window, dy = window_of(at, kernel_of(at)), gradient_of(at)
        x, w = ranked(at.input(0), window), ranked(at.input(1), window)
        return None, form(Correlation(window, at.integer("group", 1), x, dy, w))

    one = [Rule("gradient", "Conv", rule)]
    model, feeds = case.model(symbolic=symbolic), case.feeds()
    found, _ = gradients_of(model, feeds, ["x1"], case.output, one)
    wanted, _ = gradients_of(case.model(), feeds, ["x1"], case.output)
    compare(f"{form.__name__} of {case}", found["x1"], wanted["x1"], 1e-4)
