from __future__ import annotations

from typing import Any

from torch.nn import functional

from tests.core.autodiff.cases import case, normal, positive


def affine(x: Any, w: Any, b: Any, mean: Any, var: Any, epsilon: float = 1e-5) -> Any:
    """Normalize by constants, which PyTorch's own function does not differentiate."""
    wide = (-1, *(1 for _ in x.shape[2:]))
    inv = (var + epsilon) ** -0.5
    return (x - mean.reshape(wide)) * (w * inv).reshape(wide) + b.reshape(wide)


for shape in ((5, 3), (3, 2, 4), (2, 3, 3, 2), (2, 2, 2, 3, 2)):
    channels = shape[1]
    vectors = [normal(channels, seed=i) for i in (1, 2, 3)]
    inputs = [normal(*shape), *vectors, positive(channels)]

    def trained(x: Any, w: Any, b: Any, mean: Any, var: Any) -> Any:
        """Normalize by the statistics of the batch; the running ones are left alone."""
        return functional.batch_norm(x, None, None, w, b, training=True)

    note = f"{len(shape)}-D"
    case("BatchNormalization", *inputs, note=note, torch=affine)
    case("BatchNormalization", *inputs, note=f"{note}, training", training_mode=1, outputs=3,
         wrt=[0, 1, 2], torch=trained)  # fmt: skip


inputs = [normal(2, 3, 3, 2) + 30, *(normal(3, seed=i) for i in (1, 2, 3)), positive(3)]
case("BatchNormalization", *inputs, note="epsilon", epsilon=0.1, wrt=[0],
     torch=lambda x, w, b, mean, var: affine(x, w, b, mean, var, 0.1))  # fmt: skip
case("BatchNormalization", *inputs, note="far from zero, training", training_mode=1, outputs=3,
     epsilon=0.1, wrt=[0, 1, 2], tolerance=5e-2,
     torch=lambda x, w, b, mean, var: functional.batch_norm(
         x, None, None, w, b, training=True, eps=0.1))  # fmt: skip
case("BatchNormalization", *inputs, note="stored statistics", stored=[3, 4], wrt=[0, 1, 2],
     torch=affine)  # fmt: skip


def running(x: Any, before: Any, momentum: float, *, variance: bool) -> Any:
    """Return a running statistic after a batch."""
    over = (0, *range(2, x.ndim))
    now = x.var(over, correction=0) if variance else x.mean(over)
    return before * momentum + now * (1 - momentum)


for shape in ((5, 3), (2, 3, 3, 2)):
    inputs = [normal(*shape), *(normal(3, seed=i) for i in (1, 2, 3)), positive(3)]
    for of, name in ((1, "mean"), (2, "variance")):
        case("BatchNormalization", *inputs, note=f"{len(shape)}-D, running {name}",
             training_mode=1, momentum=0.6, outputs=3, of=of,
             torch=lambda x, w, b, *before, of=of:
                 running(x, before[of - 1], 0.6, variance=of == 2) + 0 * (w + b))  # fmt: skip
