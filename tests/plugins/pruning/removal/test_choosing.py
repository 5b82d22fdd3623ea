"""Which groups are cut, and what is said of those that are not."""

from __future__ import annotations

from typing import Any

import pytest

from onnxpress.errors import UnknownNameError
from onnxpress.graph.model import Model
from onnxpress.job import Job
from tests.graphs import graph, normal
from tests.plugins.pruning.removal.nets import attention, cut, residual, widths


def after(model: Model, **options: Any) -> tuple[dict[str, int], dict[str, str]]:
    """Return the widths that are left, and what was declined."""
    job = Job()
    made = cut(model, job=job, recalibrate="none", **options)
    return widths(made), {d.subject: d.reason for d in job.declined}


def test_without_patterns_all_is_cut_but_the_outputs() -> None:
    left, declined = after(residual())
    assert left == {"stem": 8, "a1": 8, "b1": 8, "a2": 8, "b2": 8, "fc": 10}
    assert not declined


def test_a_layer_by_its_name() -> None:
    left, declined = after(residual(), layers=["a1"])
    assert left == {"stem": 16, "a1": 8, "b1": 16, "a2": 16, "b2": 16, "fc": 10}
    assert not declined


@pytest.mark.parametrize("layers", [["stem", "b*"], ["op:Conv"], ["re:^(stem|b.)$", "stem_n"]])
def test_a_residual_sum_by_the_names_of_all_that_give_it(layers: list[str]) -> None:
    left, _ = after(residual(), layers=layers)
    assert left["stem"] == left["b1"] == left["b2"] == 8


def test_a_part_of_a_residual_sum_stays_whole_and_says_with_what() -> None:
    left, declined = after(residual(), layers=["b1", "a1"])
    assert left["b1"] == 16
    assert left["a1"] == 8
    assert declined == {"stem": "its channels are those of stem, b2 too; name all of them, or none"}


def test_an_excluded_layer_keeps_all_that_is_cut_with_it() -> None:
    left, declined = after(residual(4), exclude=["b2", "a1"])
    assert left["stem"] == left["b4"] == left["a1"] == 16
    assert left["a2"] == 8
    assert declined == {
        "stem": "b2 is excluded; its channels are those of stem, b1, b3 and 1 more too",
        "a1": "a1 is excluded",
    }


def test_an_output_that_was_named_says_why_it_stays() -> None:
    left, declined = after(residual(), layers=["fc"])
    assert left["fc"] == 10
    assert declined["fc"] == "10 of its channels can't be cut: it is the output 'fc' of the model"
    assert declined["model"] == "no chosen layer has channels that can be cut"


def test_one_reason_is_said_once_though_weights_and_biases_have_it() -> None:
    model = graph(
        "g (float[N,4] x) => (float[N,2] y) { a = MatMul(x, w)\n y = Gemm(a, u, b) }",
        w=normal(4, 16),
        u=normal(16, 2),
        b=normal(2),
    )
    job = Job()
    cut(model, job=job, layers=["y"])
    assert [declined.subject for declined in job.declined] == ["y", "model"]


def test_shares_of_some_layers() -> None:
    left, declined = after(residual(), sparsity=0.0, sparsities=["a1=0.5", "fc=0.5"])
    assert left == {"stem": 16, "a1": 8, "b1": 16, "a2": 16, "b2": 16, "fc": 10}
    assert "10 of its channels can't be cut" in declined["fc"]


def test_the_first_share_that_fits_counts() -> None:
    left, _ = after(residual(), sparsities=["a1=0", "a*=0.75", "op:Conv=0.25"], round_to=1)
    assert left == {"stem": 12, "a1": 16, "b1": 12, "a2": 4, "b2": 12, "fc": 10}


def test_heads_only_where_there_are_any() -> None:
    left, _ = after(attention(), structure="head", ratio=0.25, round_to=1)
    assert left == {"q": 12, "k": 12, "v": 12, "o": 16, "y": 10}
    left, declined = after(residual(), structure="head")
    assert set(left.values()) == {16, 10}
    assert declined["model"] == "no chosen layer has attention heads that can be cut"


def test_an_unknown_layer_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="no layer called 'a3'"):
        cut(residual(), layers=["a3"])


@pytest.mark.parametrize("freeze", [False, True])
def test_weights_that_callers_may_override_stay_unless_frozen(*, freeze: bool) -> None:
    model = graph(
        "g (float[N,4] x, float[4,16] w, float[16,2] u) => (float[N,2] y) "
        "{ a = MatMul(x, w)\n y = MatMul(a, u) }",
        w=normal(4, 16),
        u=normal(16, 2),
    )
    left, declined = after(model, freeze=freeze)
    assert left == ({"a": 8, "y": 2} if freeze else {})
    assert ("w" in declined) is not freeze
    assert freeze or "freeze makes it a constant" in declined["w"]


def test_an_operator_without_a_rule_keeps_what_it_reads_and_says_so() -> None:
    model = graph(
        "g (float[N,4] x) => (float[N,2] y) "
        "{ a = MatMul(x, w)\n b = acme.Rotate(a)\n y = MatMul(b, u) }",
        w=normal(4, 16),
        u=normal(16, 2),
    )
    job = Job()
    assert widths(cut(model, job=job))["a"] == 16
    reasons = [declined.reason for declined in job.declined]
    assert any("no rule for acme::Rotate; what it reads and gives is kept" in r for r in reasons)


def test_layers_in_a_branch_stay_and_say_so() -> None:
    model = graph(
        """g (float[4,4] x, bool c) => (float[4,2] y) {
            y = If (c) <
                then_branch = t () => (float[4,2] p) { a = MatMul(x, w)
                    p = MatMul(a, u) },
                else_branch = e () => (float[4,2] q) { q = MatMul(x, v) }
            >
        }""",
        w=normal(4, 16),
        u=normal(16, 2),
        v=normal(4, 2),
    )
    left, declined = after(model)
    assert 16 in left.values()
    assert "it is part of a branch, a loop or a function" in declined.values()


def test_a_criterion_that_knows_nothing_of_a_group_leaves_it() -> None:
    left, declined = after(attention(), criterion="bn-scale")
    assert set(left.values()) == {16, 10}
    assert declined["o"] == "no normalisation scales these channels"


def test_what_was_cut_is_reported_with_what_goes_with_it() -> None:
    job = Job()
    cut(residual(), job=job, recalibrate="none", ratio=0.9)
    changed = {change.subject: change.details for change in job.changed}
    assert changed["stem"] == {
        "channels": 8,
        "of": 16,
        "together_with": "b1, b2",
        "read_by": "a1, a2, fc",
        "bound": "round-to=8",
    }
    assert job.summary == (
        "24 of 48 channels cut out, in 3 of 3 groups; 3 of them can lose no more: round-to=8"
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"ratio": 0.2}, "all 16 channels stay, rounded to a multiple of 8 (round-to=8)"),
        ({"ratio": 0.01, "round_to": 1}, "the share that is to go rounds to none of them"),
        ({"at_most": 0.01, "round_to": 1}, "all 16 channels stay: at-most=0.01"),
        ({"ratio": 0.01, "round_to": 1, "scope": "global"}, "others score lower"),
    ],
)
def test_why_a_group_stays_whole(options: dict[str, Any], reason: str) -> None:
    _, declined = after(residual(), **options)
    assert reason in declined["a1"]
