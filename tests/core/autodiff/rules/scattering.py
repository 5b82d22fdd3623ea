from __future__ import annotations

import numpy as np

from tests.core.autodiff.cases import case, normal, positive, spread

X = normal(3, 4, 5)
ONCE = np.array([[2, 0, 1], [1, -1, 2]])  # in each column, no place twice
OFTEN = np.array([[0, 1, 2, 1], [0, 2, 2, 1]])

case("ScatterElements", normal(4, 3), ONCE, normal(2, 3, seed=1))
case(
    "ScatterElements", normal(2, 5), np.array([[1, 4, 0], [0, 1, 2]]), normal(2, 3, seed=1),
    axis=-1, note="last axis", torch=lambda x, i, u: x.scatter(1, i, u),
)  # fmt: skip
for reduction, name in (("add", "sum"), ("mul", "prod"), ("max", "amax"), ("min", "amin")):
    case(
        "ScatterElements", spread(3, 4), OFTEN, spread(2, 4, seed=1, gap=0.17),
        reduction=reduction, note=reduction,
        torch=lambda x, i, u, name=name: x.scatter_reduce(0, i, u, name),
    )  # fmt: skip
    case(
        "ScatterElements", spread(3, 4), OFTEN, spread(2, 4, seed=1, gap=0.17),
        reduction=reduction, stored=(), note=f"{reduction}, fed",
    )  # fmt: skip
# The second derivative at zero factors is of the kind 0/0, and is not claimed to be right.
case(
    "ScatterElements", np.array([1.0, 0.0, 2.0]), np.array([0, 0, 0, 1, 2, 2]),
    np.array([3.0, 0.0, 2.0, 4.0, 0.0, 0.0]), reduction="mul", note="zero factors", smooth=False,
)  # fmt: skip
case("ScatterND", X, np.array([[0, 1], [2, 3], [-1, 0]]), normal(3, 5, seed=1))
case(
    "ScatterND", X, np.array([[2], [0]]), normal(2, 4, 5, seed=1), stored=(), note="rows",
    torch=lambda x, i, u: x.index_put((i[:, 0],), u),
)  # fmt: skip
case(
    "ScatterND", X, np.array([[2], [0], [2]]), normal(3, 4, 5, seed=1), note="add",
    reduction="add", torch=lambda x, i, u: x.index_put((i[:, 0],), u, accumulate=True),
)  # fmt: skip
case(
    "ScatterND", positive(4), np.array([[1], [1], [3]]), positive(3, seed=1), note="mul",
    reduction="mul", torch=lambda x, i, u: x.scatter_reduce(0, i[:, 0], u, "prod"),
)  # fmt: skip
for reduction, name in (("max", "amax"), ("min", "amin")):
    case(
        "ScatterND", spread(4), np.array([[1], [1], [3]]), spread(3, seed=1, gap=0.17),
        reduction=reduction, note=reduction,
        torch=lambda x, i, u, name=name: x.scatter_reduce(0, i[:, 0], u, name),
    )  # fmt: skip
# A tie of two: half of each, which is also what differences say.
case(
    "ScatterElements", np.array([0.0, 2.0]), np.array([0, 0]), np.array([1.0, 1.0]),
    reduction="max", note="tie", smooth=False,
    torch=lambda x, i, u: x.scatter_reduce(0, i, u, "amax"),
)  # fmt: skip
