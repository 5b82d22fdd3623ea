"""Axes are followed back through what lies between a stored tensor and its use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.graph.axes import _RESHAPES, stored_axis, used_shape
from onnxpress.graph.constants import PLAIN, stored_constant
from tests.graphs import graph


def follow(nodes: str, shape: tuple[int, ...], **more: Any) -> tuple[Any, list[int | None]]:
    """Return the shape in use, and for each of its axes the stored axis."""
    model = graph(
        f"g (float x) => (float y) {{ {nodes} y = Add(x, u) }}",
        w=np.zeros(shape, np.float32),
        **more,
    )
    found = stored_constant(model.ir.graph[-1].inputs[1])
    assert found is not None
    used = used_shape(*found)
    assert used is not None
    return used, [stored_axis(axis, *found) for axis in range(len(used))]


def ints(*values: int) -> np.ndarray[Any, Any]:
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    ("nodes", "shape", "used", "axes"),
    [
        ("u = Identity(w)", (2, 3), (2, 3), [0, 1]),
        ("u = Cast<to=1>(w)", (2, 3), (2, 3), [0, 1]),
        ("u = Transpose(w)", (2, 3, 4), (4, 3, 2), [2, 1, 0]),
        ("u = Transpose<perm=[2,0,1]>(w)", (2, 3, 4), (4, 2, 3), [2, 0, 1]),
        (
            "t = Transpose<perm=[3,2,0,1]>(w) u = Identity(t)",
            (3, 3, 8, 1),
            (1, 8, 3, 3),
            [3, 2, 0, 1],
        ),
        ("s = Constant<value_ints=[6,4]>() u = Reshape(w, s)", (2, 3, 4), (6, 4), [None, 2]),
        ("s = Constant<value_ints=[2,-1]>() u = Reshape(w, s)", (2, 3, 4), (2, 12), [0, None]),
        (
            "s = Constant<value_ints=[0,0,2,2]>() u = Reshape(w, s)",
            (2, 3, 4),
            (2, 3, 2, 2),
            [0, 1, None, None],
        ),
        # The axis of 4 survives although it moves from place 1 to place 2.
        ("s = Constant<value_ints=[1,2,4]>() u = Reshape(w, s)", (2, 4), (1, 2, 4), [None, 0, 1]),
        # As long, but other slices: 2 × 3 read as 3 × 2.
        ("s = Constant<value_ints=[3,2]>() u = Reshape(w, s)", (2, 3), (3, 2), [None, None]),
        ("u = Flatten<axis=1>(w)", (5, 2, 3), (5, 6), [0, None]),
        ("u = Flatten<axis=0>(w)", (5,), (1, 5), [None, 0]),
        ("a = Constant<value_ints=[1]>() u = Squeeze(w, a)", (5, 1, 3), (5, 3), [0, 2]),
        ("u = Squeeze(w)", (1, 5, 1, 3), (5, 3), [1, 3]),
        (
            "a = Constant<value_ints=[0,-1]>() u = Unsqueeze(w, a)",
            (5, 3),
            (1, 5, 3, 1),
            [None, 0, 1, None],
        ),
        (
            "a = Constant<value_ints=[-1]>() v = Unsqueeze(w, a) u = Transpose<perm=[1,0,2]>(v)",
            (5, 3),
            (3, 5, 1),
            [1, 0, None],
        ),
    ],
)
def test_axis(nodes: str, shape: tuple[int, ...], used: tuple[int, ...], axes: list[int]) -> None:
    assert follow(nodes, shape) == (used, axes)


def test_every_operator_that_keeps_elements_but_not_axes_has_a_rule() -> None:
    assert set(_RESHAPES) == PLAIN - {"Cast", "CastLike", "Identity"}


def test_an_axis_out_of_range_is_none() -> None:
    model = graph("g (float[3] x) => (float y) { y = MatMul(x, w) }", w=np.zeros(3, np.float32))
    found = stored_constant(model.ir.graph[-1].inputs[1])
    assert found is not None
    assert stored_axis(-1, *found) == 0
    assert stored_axis(-2, *found) is None
    assert stored_axis(None, *found) is None


def test_mapped_axes_hold_the_same_slices() -> None:
    """Law: cutting along the stored axis is cutting along the axis in use."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        stored = tuple(rng.integers(1, 4, rng.integers(1, 4)).tolist())
        factors = [int(n) for n in rng.permutation(list(stored))]
        wanted = [int(np.prod(factors[:2])), *factors[2:]] if len(factors) > 1 else factors
        text = "[" + ",".join(map(str, wanted)) + "]"
        used, axes = follow(f"s = Constant<value_ints={text}>() u = Reshape(w, s)", stored)
        array = np.arange(np.prod(stored)).reshape(stored)
        for axis, source in enumerate(axes):
            if source is not None:
                for index in range(used[axis]):
                    ours = array.reshape(used).take(index, axis).ravel()
                    assert np.array_equal(ours, array.take(index, source).ravel())
