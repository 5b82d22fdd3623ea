"""Branches and loops within each other, what they store, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from onnxpress.autodiff import gradient
from onnxpress.errors import ModelError
from onnxpress.testing.gradients import check_gradient
from tests.graphs import graph, normal

# A loop in a branch, whose body holds a branch that reads from all levels.
NESTED = """g (float[N,3] x, bool c, int64 n) => (float[N,3] y) {
    e = Tanh(x)
    y = If(c) <
        then_branch = yes () => (float[N,3] a) {
            begin = Mul(e, x)
            a, all = Loop(n, , begin) <body = step (int64 i, bool go, float[N,3] s)
                => (bool on, float[N,3] t, float[N,3] o) {
                    on = Identity(go)
                    one = Constant<value = int64 {1}>()
                    first = Less(i, one)
                    p = If(first) <
                        then_branch = early () => (float[N,3] k) { k = Mul(s, x) },
                        else_branch = late () => (float[N,3] l) { h = Add(s, e) l = Tanh(h) }
                    >
                    t = Add(p, begin)
                    o = Mul(t, e)
                }>
        },
        else_branch = no () => (float[N,3] b) { b = Neg(x) }
    >
}"""


DROPOUT = """t = Constant<value = bool {{{}}}>()
    r = Constant<value = float {{0.5}}>()
    a = Dropout(x, r, t)"""


@pytest.mark.parametrize("condition", [1, 0])
def test_bodies_within_bodies(condition: int) -> None:
    feeds = {"x": normal(2, 3), "c": np.array(condition, bool), "n": np.array(3)}
    check_gradient(graph(NESTED), feeds, ["x"], step=1e-3)


def test_what_branches_store_gets_gradients() -> None:
    """Two tensors of one name in two branches stay two."""
    model = graph("""g (float[3] x, bool c) => (float[3] y) {
        y = If(c) <
            then_branch = yes () => (float[3] a) <float[3] w = {1, 2, 3}> { a = Mul(x, w) },
            else_branch = no () => (float[3] b) <float[3] w = {4, 5, 6}> { b = Mul(x, w) }
        >
    }""")
    result = gradient(model, "y", ["x", "w", "w_1"])
    x = normal(3)
    yes = result.run({"x": x, "c": np.array(1, bool)})
    no = result.run({"x": x, "c": np.array(0, bool)})
    assert {tuple(r["grad.x"]) for r in (yes, no)} == {(1, 2, 3), (4, 5, 6)}
    for one, other in ((yes, no), (no, yes)):
        taken = "grad.w" if one["grad.w"].any() else "grad.w_1"
        np.testing.assert_array_equal(one[taken], x)
        assert not other[taken].any()


def test_a_loop_gives_what_it_gave_before() -> None:
    model = graph("""g (float[3] x, int64 n) => (float[3] y) {
        y = Loop(n, , x) <body = step (int64 i, bool go, float[3] s) => (bool on, float[3] t) {
            on = Identity(go)
            t = Mul(s, x)
        }>
    }""")
    feeds = {"x": normal(3), "n": np.array(2)}
    result = gradient(model, "y", "x").run(feeds)
    np.testing.assert_allclose(result["y"], feeds["x"] ** 3, rtol=1e-6)
    np.testing.assert_allclose(result["grad.x"], 3 * feeds["x"] ** 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("node", "refused"),
    [
        ("a = RandomNormalLike(x)", "random numbers inside a branch"),
        (DROPOUT.format(1), "random numbers inside a branch"),
        (DROPOUT.format(0), None),
        ("a = Dropout(x)", None),
    ],
)  # fmt: skip
def test_random_numbers_in_a_branch(node: str, refused: str | None) -> None:
    """The way back computes the branch again, and would get others."""
    model = graph(f"""g (float[3] x, bool c) => (float[3] y) {{
        y = If(c) <
            then_branch = yes () => (float[3] b) {{ {node} b = Mul(a, x) }},
            else_branch = no () => (float[3] d) {{ d = Exp(x) }}
        >
    }}""")
    if refused:
        with pytest.raises(ModelError, match=refused):
            gradient(model, "y", "x")
    else:
        check_gradient(model, {"x": normal(3), "c": np.array(1, bool)}, ["x"], step=1e-2)


def test_a_state_that_grows_is_refused() -> None:
    model = graph("""g (float[1,3] x) => (float[N,3] y) {
        n = Constant<value = int64 {1}>()
        y = Loop(n, , x) <body = step (int64 i, bool go, float[1,3] s) => (bool on, float[2,3] t) {
            on = Identity(go)
            p = Mul(s, s)
            t = Concat<axis = 0>(p, x)
        }>
    }""")
    with pytest.raises(
        ModelError, match=r"Loop 'y' hands on 's', whose shape changes from \[1, 3\]"
    ):
        gradient(model, "y", "x")


def test_a_state_that_is_a_sequence_is_refused() -> None:
    model = graph("""g (float[3] x, int64 n) => (float[M] y) {
        begin = SequenceConstruct(x)
        all = Loop(n, , begin) <body = step (int64 i, bool go, seq(float[3]) s)
            => (bool on, seq(float[3]) t) {
                on = Identity(go)
                e = Exp(x)
                t = SequenceInsert(s, e)
            }>
        y = ConcatFromSequence<axis = 0>(all)
    }""")
    with pytest.raises(ModelError, match="Sequence"):
        gradient(model, "y", "x")


@pytest.mark.parametrize(
    ("activations", "said"),
    [
        (["Sigmoid", "Swish", "Tanh"], "no activation 'Swish'"),
        (["Sigmoid", "Affine", "Tanh"], "Affine has no default for activation_alpha"),
    ],
)
def test_an_activation_that_is_not_defined(activations: list[str], said: str) -> None:
    names = ", ".join(f'"{name}"' for name in activations)
    model = graph(
        f"""g (float[4,3,2] x) => (float[4,1,3,2] y) {{
            y = LSTM<hidden_size = 2, activations = [{names}]>(x, w, r)
        }}""",
        w=normal(1, 8, 2),
        r=normal(1, 8, 2),
    )
    with pytest.raises(ModelError, match=said):
        gradient(model, "y", "x")
