from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.nn import functional

from tests.core.autodiff.cases import case, normal


def layer(x: Any, scale: Any, bias: Any, axis: int, epsilon: float = 1e-5) -> Any:
    """Normalize as LayerNormalization does, whatever shape its scale has."""
    return functional.layer_norm(x, x.shape[axis:], eps=epsilon) * scale + bias


for axis, note in ((-1, "last axis"), (1, "two axes"), (0, "all axes"), (-2, "negative axis")):
    shape = (2, 3, 4)[axis:]
    case("LayerNormalization", normal(2, 3, 4), normal(*shape, seed=1), normal(*shape, seed=2),
         axis=axis, note=note, torch=lambda x, w, b, axis=axis: layer(x, w, b, axis))  # fmt: skip
case("LayerNormalization", normal(3, 5), normal(5, seed=1), note="no bias", epsilon=0.1,
     torch=lambda x, w: layer(x, w, 0, -1, 0.1))  # fmt: skip
case("LayerNormalization", normal(2, 3, 4), normal(4, seed=1), normal(4, seed=2), outputs=3,
     note="with statistics", torch=lambda x, w, b: layer(x, w, b, -1))  # fmt: skip
case("LayerNormalization", normal(2, 3, 4), normal(4, seed=1), outputs=3, of=1, note="mean",
     wrt=[0], torch=lambda x, w: x.mean(-1, keepdim=True))  # fmt: skip
case("LayerNormalization", normal(2, 3, 4), normal(3, 4, seed=1), outputs=3, of=2, wrt=[0], axis=1,
     note="inverse standard deviation",
     torch=lambda x, w: (x.var((1, 2), correction=0, keepdim=True) + 1e-5) ** -0.5)  # fmt: skip
case("LayerNormalization", normal(2, 3, 4), normal(4, seed=1), normal(4, seed=2), stored=[1, 2],
     wrt=[0],      note="stored scale", torch=lambda x, w, b: layer(x, w, b, -1))  # fmt: skip


def root_mean_square(x: Any, scale: Any, axis: int = -1, epsilon: float = 1e-5) -> Any:
    """Normalize without centring."""
    axes = tuple(range(axis % x.dim(), x.dim()))
    return x * ((x * x).mean(axes, keepdim=True) + epsilon) ** -0.5 * scale


case("RMSNormalization", normal(2, 3, 4), normal(4, seed=1), opset=23, torch=root_mean_square)
case("RMSNormalization", normal(2, 3, 4), normal(3, 4, seed=1), opset=23, axis=1, epsilon=0.1,
     note="two axes", torch=lambda x, w: root_mean_square(x, w, 1, 0.1))  # fmt: skip


def affine(x: Any, scale: Any, bias: Any) -> Any:
    """Scale and shift every channel."""
    shape = (-1, *(1 for _ in x.shape[2:]))
    return x * scale.reshape(shape) + bias.reshape(shape)


def per_sample(op: str, shape: Sequence[int], function: Any, **fields: Any) -> None:
    """Register a case with a scale and a bias per channel."""
    case(op, normal(*shape), normal(shape[1], seed=1), normal(shape[1], seed=2),
         torch=lambda x, w, b: affine(function(x), w, b), **fields)  # fmt: skip


for shape in ((2, 3, 4), (2, 3, 3, 2), (1, 2, 2, 3, 2)):
    note = f"{len(shape)}-D"
    per_sample("InstanceNormalization", shape, functional.instance_norm, note=note)
    per_sample("GroupNormalization", (2, 4, *shape[2:]), lambda x: functional.group_norm(x, 2),
               num_groups=2, note=note)  # fmt: skip
per_sample("InstanceNormalization", (2, 2, 3, 2), lambda x: functional.instance_norm(x, eps=0.1),
           epsilon=0.1, note="epsilon")  # fmt: skip
for groups in (1, 3, 6):
    per_sample("GroupNormalization", (2, 6, 5), lambda x, g=groups: functional.group_norm(x, g),
               num_groups=groups, note=f"{groups} groups")  # fmt: skip
per_sample("GroupNormalization", (3, 6), lambda x: functional.group_norm(x, 2), num_groups=2,
           note="2-D")  # fmt: skip


def standardized(axes: Sequence[int]) -> Any:
    """Take off the mean and divide by the standard deviation, as the function body does."""
    return lambda x: (
        (x - x.mean(axes, keepdim=True)) / (x.var(axes, correction=0, keepdim=True).sqrt() + 1e-9)
    )


# Has no rule of its own: it is written out.
case("MeanVarianceNormalization", normal(2, 3, 3, 2), torch=standardized((0, 2, 3)))
case("MeanVarianceNormalization", normal(2, 3, 3), axes=[0, 2], note="axes",
     torch=standardized((0, 2)))  # fmt: skip
