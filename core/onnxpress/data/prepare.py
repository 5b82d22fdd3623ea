"""From an array as it is stored to what an input takes: axes, arithmetic, element type.

`Preparation.plan` decides everything from shape and type, once; `Plan.apply` then
does it batch by batch, so that no float copy of a whole set is ever made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from onnxpress.data.batch import Array
from onnxpress.data.options import Numbers, Options
from onnxpress.data.signature import Input, Signature, is_float
from onnxpress.errors import DataError, OptionError

Shape: TypeAlias = tuple[int, ...]
Floats: TypeAlias = npt.NDArray[np.floating[Any]]

_TURNS: Final = {"nchw": (0, 3, 1, 2), "nhwc": (0, 2, 3, 1)}
_IMAGES: Final = 4  # axes of a batch of images


@dataclass(frozen=True, slots=True)
class Plan:
    """How every batch of one array becomes what an input takes.

    Attributes:
        new_axis: Where a missing channel axis of size 1 is put in.
        turn: The order of axes, where the layout changes.
        computes: Whether values are computed with; else they are converted without loss.
        scale: Values become ``(x * scale - mean) / std``.
        mean: See `scale`.
        std: See `scale`.
        dtype: The element type of the result; None keeps that of the array.
    """

    new_axis: int | None
    turn: Shape | None
    computes: bool
    scale: Floats | None
    mean: Floats | None
    std: Floats | None
    dtype: np.dtype[Any] | None

    def apply(self, array: Array, where: str) -> Array:
        """Return a new, contiguous array; `array` stays as it was.

        Raises:
            DataError: If what is computed does not fit into an integer type; names `where`.
        """
        if self.new_axis is not None:
            array = np.expand_dims(array, self.new_axis)
        if self.turn is not None:
            array = array.transpose(self.turn)
        return (
            self._compute(array, where) if self.computes else np.array(array, self.dtype, order="C")
        )

    def _compute(self, array: Array, where: str) -> Array:
        result = np.array(array, _exact_enough(self.dtype), order="C")
        if self.scale is not None:
            result *= self.scale
        if self.mean is not None:
            result -= self.mean
        if self.std is not None:
            result /= self.std
        return result if self.dtype is None else _narrowed(result, self.dtype, where)


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is to be done for one input, whatever array comes."""

    wanted: Input
    options: Options
    _plans: dict[tuple[Shape, np.dtype[Any]], Plan] = field(default_factory=dict)

    def plan(self, shape: Shape, dtype: np.dtype[Any], where: str) -> Plan:
        """Decide how arrays of this shape and type become what the input takes.

        Args:
            shape: The shape of a batch.
            dtype: Its element type.
            where: Which array this is and what shape it has, for errors.

        Raises:
            DataError: If the shape or the type can't be what the input takes.
            OptionError: If scale, mean or std does not fit the channels.
        """
        key = (shape, dtype)
        if key not in self._plans:
            self._plans[key] = self._decide(shape, dtype, where)
        return self._plans[key]

    def _decide(self, shape: Shape, dtype: np.dtype[Any], where: str) -> Plan:
        new_axis = _missing_channel(self.wanted, shape)
        turn = None if new_axis is not None else self._turn(shape, where)
        result = shape
        if new_axis is not None:
            result = (*shape[:new_axis], 1, *shape[new_axis:])
        elif turn is not None:
            result = tuple(shape[axis] for axis in turn)
        if (axis := self.wanted.misfit(result)) is not None:
            turned = "" if turn is None else f", turned round by layout={self.options.layout},"
            wrong = f"{where}{turned} does not fit input {self.wanted.name!r}, {self.wanted}"
            advice = _advice(self.wanted, self.options, shape)
            raise DataError(f"{wrong}: {_difference(self.wanted, result, axis)}{advice}")
        self._check_dtype(dtype, where)
        constants = (self.options.scale, self.options.mean, self.options.std)
        scale, mean, std = (
            self._constant(name, numbers, result, where)
            for name, numbers in zip(("scale", "mean", "std"), constants, strict=True)
        )
        computes = self.options.computes
        return Plan(new_axis, turn, computes, scale, mean, std, self.wanted.dtype)

    def _turn(self, shape: Shape, where: str) -> Shape | None:
        if self.options.layout is None:
            return None
        if len(shape) != _IMAGES:
            raise DataError(
                f"layout={self.options.layout} turns arrays with 4 axes (samples, height, width, "
                f"channels), and {where} has {len(shape)}"
            )
        return _TURNS[self.options.layout]

    def _check_dtype(self, dtype: np.dtype[Any], where: str) -> None:
        wanted = self.wanted.dtype
        computes = self.options.computes and (dtype.kind in "biu" or is_float(dtype))
        if wanted is None or computes or _converts(dtype, wanted):
            return
        advice = ", or with the option scale=1" if is_float(wanted) and is_float(dtype) else ""
        raise DataError(
            f"{where} is {dtype}, and input {self.wanted.name!r} takes {wanted}; "
            f"convert it with numpy's astype{advice}"
        )

    def _constant(self, name: str, numbers: Numbers, shape: Shape, where: str) -> Floats | None:
        neutral = 0.0 if name == "mean" else 1.0
        if set(numbers) <= {neutral}:
            return None
        dtype = _exact_enough(self.wanted.dtype)
        if len(numbers) == 1:
            return np.asarray(numbers[0], dtype)
        axis = self._channel_axis(len(numbers), shape)
        if axis is None:
            raise OptionError(
                f"{name} has {len(numbers)} numbers, and {where} has no axis of {len(numbers)} "
                "channels; give one number, or one per channel"
            )
        column = np.asarray(numbers, dtype).reshape((-1,) + (1,) * (len(shape) - 1 - axis))
        # Written out over whole rows of pixels: numpy is slow along an axis of three.
        return np.ascontiguousarray(np.broadcast_to(column, (*column.shape[:-2], *shape[-2:])))

    def _channel_axis(self, count: int, shape: Shape) -> int | None:
        last = len(shape) - 1
        axes = {"nchw": (1,), "nhwc": (last,), None: (1, last)}[self.options.layout]
        return next((axis for axis in axes if 0 < axis <= last and shape[axis] == count), None)


def preparations(signature: Signature, options: Options) -> dict[str, Preparation]:
    """Return the preparation of every input, by name.

    Scale, mean, std and layout are for the model's only input, or its only float input;
    the others are fed as they are.

    Raises:
        OptionError: If they are given, and there is no such input.
    """
    plain = Options()
    meant = [i.name for i in signature.inputs if i.is_float or len(signature.inputs) == 1]
    asked = options.computes or options.layout is not None
    if asked and len(meant) != 1:
        found = f"several: {', '.join(meant)}" if meant else "none"
        raise OptionError(
            "scale, mean, std and layout are for a model with one float input, and this one has "
            f"{found}; prepare the arrays before"
        )
    return {i.name: Preparation(i, options if i.name in meant else plain) for i in signature.inputs}


def _exact_enough(dtype: np.dtype[Any] | None) -> np.dtype[np.floating[Any]]:
    """Return the type to compute in: single for up to single precision, else double."""
    single = dtype is None or (is_float(dtype) and dtype != np.float64)
    return np.dtype(np.float32 if single else np.float64)


def _missing_channel(wanted: Input, shape: Shape) -> int | None:
    """Return where an axis of size 1 makes `shape` fit, if there is exactly one such place."""
    if wanted.shape is None or len(shape) != len(wanted.shape) - 1:
        return None
    places = [
        axis
        for axis, size in enumerate(wanted.shape)
        if axis and size == 1 and wanted.misfit((*shape[:axis], 1, *shape[axis:])) is None
    ]
    return places[0] if len(places) == 1 else None


def _converts(dtype: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    """Say whether numbers may be converted unasked: integers to floats, or without loss."""
    if dtype.kind in "biu" and is_float(wanted):
        return True
    return dtype == wanted.newbyteorder("=") or np.can_cast(dtype, wanted, "safe")


def _narrowed(values: Floats, dtype: np.dtype[Any], where: str) -> Array:
    """Convert what was computed to the type of the input; integers are rounded half to even."""
    if is_float(dtype):
        return values.astype(dtype, copy=False)
    with np.errstate(invalid="ignore"):
        whole = np.rint(values).astype(dtype)
    if not np.array_equal(whole.astype(values.dtype), np.rint(values)):
        raise DataError(
            f"{where}: values from {values.min():g} to {values.max():g} do not fit into {dtype}; "
            "check scale, mean and std"
        )
    return whole


def _difference(wanted: Input, shape: Shape, axis: int) -> str:
    expected = wanted.shape or ()
    if axis < 0:
        return f"{len(shape)} axes where {len(expected)} are wanted"
    return f"axis {axis} is {shape[axis]} where {expected[axis]} is wanted"


def _advice(wanted: Input, options: Options, shape: Sequence[int]) -> str:
    if options.layout is not None and wanted.misfit(shape) is None:
        return f"; it fits without layout={options.layout}"
    for layout, turn in _TURNS.items():
        if len(shape) == _IMAGES and wanted.misfit([shape[a] for a in turn]) is None:
            return f"; add layout={layout} to turn the images round"
    return ""
