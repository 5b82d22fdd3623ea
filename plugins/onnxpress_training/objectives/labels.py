"""Checking labels, in numpy, before a batch is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from onnxpress.errors import DataError

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.types import Dim
    from onnxpress.training.goal import LabelGoal

_SUM_TOLERANCE: Final = 1e-2  # half-precision probabilities of many classes add up no better


def read_values(labels: Array, goal: LabelGoal, where: str) -> Array:
    """Return labels as float32, in the shape of the tensor they are compared with.

    Axes of size 1 may be left out; nothing is broadcast.

    Raises:
        DataError: If the shape does not fit, or an element is not finite.
    """
    _need_numbers(labels, where)
    fitted = _fit(labels, goal.shape)
    if fitted is None:
        raise DataError(
            f"labels of {where} have shape {labels.shape}, and {goal.name!r}, which they are "
            f"compared with, {_shown(goal.shape)}; give one value for each of its elements"
        )
    values = fitted.astype(np.float32)
    if not np.isfinite(values).all():
        at = _first(~np.isfinite(values))
        raise DataError(f"label {values[at]} of {_sample(at)} in {where} is not finite")
    return values


def read_shares(labels: Array, goal: LabelGoal, where: str) -> Array:
    """Return labels as `read_values` does; each must be a probability, from 0 to 1."""
    values = read_values(labels, goal, where)
    wrong = (values < 0) | (values > 1)
    if wrong.any():
        at = _first(wrong)
        raise DataError(
            f"label {values[at]:g} of {_sample(at)} in {where} is no probability; give 0 or 1 for "
            "each class, or something between"
        )
    return values


def read_distributions(labels: Array, goal: LabelGoal, axis: int, where: str) -> Array:
    """Return labels as `read_shares` does; over the classes they must add up to 1."""
    values = read_shares(labels, goal, where)
    sums = values.sum(axis=axis)
    wrong = np.abs(sums - 1) > _SUM_TOLERANCE
    if wrong.any():
        at = _first(wrong)
        raise DataError(
            f"the probabilities of {_sample(at)} in {where} add up to {sums[at]:.3g}, not to 1; "
            "for labels that do not exclude each other, use binary-cross-entropy"
        )
    return values


def read_classes(
    labels: Array, goal: LabelGoal, axis: int, ignored: int | None, where: str
) -> Array:
    """Return labels as class indices, int64, in the shape of the scores without their class axis.

    Args:
        labels: Class indices, or one-hot rows along the class axis.
        goal: What is known of the scores.
        axis: The axis of the scores that counts classes.
        ignored: A label that stands for none of the classes.
        where: Which batch this is, for errors.

    Raises:
        DataError: If a label is no class, or their shape does not fit.
    """
    _need_numbers(labels, where)
    shape, classes = goal.shape, class_count(goal.shape, axis)
    if shape is not None and labels.ndim == len(shape):
        if classes is not None and classes > 1 and labels.shape[axis] == classes:
            labels = _from_one_hot(labels, axis, where)
        elif labels.shape[axis] == 1:
            labels = labels.squeeze(axis)
    rest = None if shape is None else _without(shape, axis)
    fitted = _fit(labels, rest)
    if fitted is None:
        raise DataError(
            f"labels of {where} have shape {labels.shape}, and the scores {goal.name!r} "
            f"{_shown(shape)} with classes along axis {axis % len(shape or (0,))}; give class "
            f"indices of shape {_shown(rest)}"
        )
    _need_classes(fitted, classes, ignored, where)
    return fitted.astype(np.int64)


def class_count(shape: Sequence[Dim] | None, axis: int) -> int | None:
    """Return how many classes there are, None if that is unknown."""
    if shape is None or not -len(shape) <= axis < len(shape):
        return None
    size = shape[axis]
    return size if isinstance(size, int) else None


def _need_numbers(labels: Array, where: str) -> None:
    if labels.dtype.kind not in "biuf":
        raise DataError(f"labels of {where} are {labels.dtype}, not numbers")


def _need_classes(labels: Array, classes: int | None, ignored: int | None, where: str) -> None:
    numbers = labels.astype(np.float64)
    wrong = (numbers != np.floor(numbers)) | (numbers < 0)
    if classes is not None:
        wrong |= numbers >= classes
    if ignored is not None:
        wrong &= numbers != ignored
    if wrong.any():
        at = _first(wrong)
        there = "" if classes is None else f"; the model has {classes} classes, 0 to {classes - 1}"
        raise DataError(f"label {labels[at]} of {_sample(at)} in {where} is no class index{there}")


def _from_one_hot(labels: Array, axis: int, where: str) -> Array:
    ones = labels == 1
    if not ((labels == 0) | ones).all() or (ones.sum(axis=axis) != 1).any():
        raise DataError(
            f"labels of {where} have shape {labels.shape}, but are not one-hot: for every sample "
            "one class must be 1 and the others 0; or give class indices"
        )
    indices: Array = ones.argmax(axis=axis)
    return indices


def _fit(labels: Array, shape: Sequence[Dim] | None) -> Array | None:
    """Return labels in a shape known in part; they may lack axes of size 1, or have more."""
    if shape is None:
        return labels
    sizes = list(labels.shape)
    while len(sizes) > len(shape) and sizes[-1] == 1:
        sizes.pop()
    for axis, dim in enumerate(shape):
        if len(sizes) < len(shape) and dim == 1:
            sizes.insert(axis, 1)
    known = [isinstance(dim, int) for dim in shape]
    if len(sizes) != len(shape) or any(
        size != dim for size, dim, fixed in zip(sizes, shape, known, strict=True) if fixed
    ):
        return None
    return labels.reshape(sizes)


def _without(shape: Sequence[Dim], axis: int) -> tuple[Dim, ...]:
    return tuple(dim for i, dim in enumerate(shape) if i != axis % len(shape))


def _first(wrong: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))


def _sample(at: tuple[int, ...]) -> str:
    sample, inside = f"sample {at[0] if at else 0}", ", ".join(map(str, at[1:]))
    return f"{sample} (at {inside})" if inside else sample


def _shown(shape: Sequence[Dim] | None) -> str:
    if shape is None:
        return "an unknown shape"
    inside = ", ".join("?" if dim is None else str(dim) for dim in shape)
    return f"({inside},)" if len(shape) == 1 else f"({inside})"
