"""Random inputs for a model that nobody has data for: right types and shapes, plausible values.

They are good enough to see that a model runs, how fast, and whether two models
compute the same; never for accuracy or for calibration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np

from onnxpress.data.batch import Array
from onnxpress.data.signature import Input, Signature
from onnxpress.errors import DataError, ModelError, OnnxpressError

if TYPE_CHECKING:
    import onnx_ir as ir

    from onnxpress.graph.model import Model
    from onnxpress.session import Session

_SPATIAL: Final = 224
_SEQUENCE: Final = 16
# What free dimensions usually are: a step, a sequence, an image, an audio frame.
_SIZES: Final = (1, 16, 32, 64, 128, 224, 256, 320, 512, 576, 1024, 2, 4, 8)
_MOST_TRIES: Final = 200

_KEEPS_INDICES: Final = frozenset(
    {"Cast", "Clip", "Expand", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose"}
    | {"Unsqueeze"}
)


def random_feeds(
    model: Model, batch: int = 1, dims: Mapping[str, int] | None = None, seed: int = 0
) -> dict[str, Array]:
    """Make one array for every input of a model.

    Floats are standard normal.  Integers that look up rows of a table stay below its
    length; other 8-bit integers take their whole range, and wider ones are 0 or 1.
    Inputs called a mask are all true, because a mask may not hide everything.

    Args:
        model: The model.
        batch: The size of a symbolic first axis.
        dims: Sizes of symbolic dimensions, by symbol or ``input[axis]``; those not named
            are 224 where an image's height and width stand, else 16.
        seed: Same seed, same arrays.

    Raises:
        ModelError: If an input is no tensor, or its rank or type is not known.
    """
    inputs = Signature.of(model).inputs
    sizes = {label: choice[0] for label, choice in _choices(inputs, batch).items()}
    return _feeds(model, inputs, {**sizes, **(dims or {})}, seed)


def runnable_feeds(
    model: Model,
    batch: int = 1,
    dims: Mapping[str, int] | None = None,
    seed: int = 0,
    session: Session | None = None,
) -> dict[str, Array]:
    """Make inputs as `random_feeds` does, of the first sizes with which the model runs.

    Where it runs with no size of the batch but 1, that is taken.

    Args:
        model: The model.
        batch: The size of a symbolic first axis.
        dims: Sizes that are not to be searched for.
        seed: Same seed, same arrays.
        session: A session of the model, if there is one already.

    Raises:
        ModelError: If an input is no tensor, if ONNX Runtime does not load the model, or
            if it runs with none of the sizes tried; with its last message.
    """
    inputs = Signature.of(model).inputs
    return _feeds(model, inputs, _runnable_sizes(model, inputs, batch, dims or {}, session), seed)


def random_batches(
    model: Model, count: int, batch: int = 1, seed: int = 0
) -> list[dict[str, Array]]:
    """Make `count` different inputs of one size, with which the model runs; see `runnable_feeds`.

    Raises:
        ModelError: As `runnable_feeds` does.
    """
    inputs = Signature.of(model).inputs
    sizes = _runnable_sizes(model, inputs, batch, {}, None)
    return [_feeds(model, inputs, sizes, [seed, number]) for number in range(count)]


def _runnable_sizes(
    model: Model,
    inputs: tuple[Input, ...],
    batch: int,
    dims: Mapping[str, int],
    session: Session | None,
) -> dict[str, int]:
    from onnxpress.session import Session

    choices = {**_choices(inputs, batch), **{name: (size,) for name, size in dims.items()}}
    session = session or Session(model)
    last: OnnxpressError | None = None
    for sizes in _tries(choices):
        feeds = _feeds(model, inputs, sizes, 0)
        try:
            session.run(feeds)
        except (ModelError, DataError) as error:
            last = error
        else:
            return sizes
    tried = f"sizes tried for {', '.join(choices)}; " if choices else ""
    raise ModelError(
        f"the model does not run with random inputs ({tried}give data): {last}"
    ) from last


def _tries(choices: Mapping[str, tuple[int, ...]]) -> Iterator[dict[str, int]]:
    """Combine the choices: the first of each, then one size for all, then everything."""
    first = tuple(choice[0] for choice in choices.values())
    free = [name for name, choice in choices.items() if len(choice) > 1]
    equal = (
        tuple(size if name in free else choice[0] for name, choice in choices.items())
        for size in _SIZES
    )
    seen: dict[tuple[int, ...], None] = dict.fromkeys([first, *equal])
    for sizes in product(*choices.values()):
        if len(seen) >= _MOST_TRIES:
            break
        seen[sizes] = None
    return (dict(zip(choices, sizes, strict=True)) for sizes in seen)


def _choices(inputs: tuple[Input, ...], batch: int) -> dict[str, tuple[int, ...]]:
    """Return the sizes to try for every symbolic dimension, the likeliest first."""
    choices: dict[str, tuple[int, ...]] = {}
    for wanted in inputs:
        for axis, dim in enumerate(wanted.shape or ()):
            if axis == 0 and not isinstance(dim, int):
                choices.setdefault(_label(wanted, axis), tuple({batch: None, 1: None}))
    for wanted in inputs:
        shape = wanted.shape or ()
        likely = _SPATIAL if len(shape) == 4 and wanted.is_float else _SEQUENCE  # noqa: PLR2004
        for axis, dim in enumerate(shape):
            if not isinstance(dim, int):
                others = (batch, *(s for s in _SIZES if s not in {likely, batch}))
                choices.setdefault(_label(wanted, axis), (likely, *others))
    return choices


def _label(wanted: Input, axis: int) -> str:
    dim = wanted.shape[axis] if wanted.shape is not None else None
    return dim if isinstance(dim, str) else f"{wanted.name}[{axis}]"


def _feeds(
    model: Model, inputs: tuple[Input, ...], sizes: Mapping[str, int], seed: int | list[int]
) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    bounds = {value.name: _index_bound(value, model) for value in model.inputs}
    return {i.name: _array(i, _shape(i, sizes), bounds[i.name], rng) for i in inputs}


def _shape(wanted: Input, sizes: Mapping[str, int]) -> tuple[int, ...]:
    if wanted.shape is None or wanted.dtype is None:
        raise ModelError(
            f"input {wanted.name!r} is {wanted}, for which nothing random can be made; give data"
        )
    return tuple(
        dim if isinstance(dim, int) else sizes[_label(wanted, axis)]
        for axis, dim in enumerate(wanted.shape)
    )


def _array(
    wanted: Input, shape: tuple[int, ...], bound: int | None, rng: np.random.Generator
) -> Array:
    assert wanted.dtype is not None  # _shape has seen to it
    if "mask" in wanted.name.lower():
        return np.ones(shape, wanted.dtype)
    if wanted.is_float:
        return rng.standard_normal(shape, np.float32).astype(wanted.dtype)
    if wanted.dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(wanted.dtype)
    if wanted.dtype.kind not in "iu":
        return np.zeros(shape, wanted.dtype)  # strings and complex numbers
    if bound is None and wanted.dtype.itemsize == 1:
        limits = np.iinfo(wanted.dtype)
        return rng.integers(limits.min, limits.max + 1, shape).astype(wanted.dtype)
    return rng.integers(0, 2 if bound is None else bound, shape).astype(wanted.dtype)


def _index_bound(value: ir.Value, model: Model) -> int | None:
    """Return the length of the shortest table in which `value` looks up rows, if it does."""
    bounds: list[int] = []
    waiting, seen = [value], {value}
    while waiting:
        for node, index in waiting.pop().uses():
            if node.op_type == "Gather" and index == 1:
                bounds.extend(_rows(node, model))
            elif node.op_type in _KEEPS_INDICES and index == 0 and node.outputs[0] not in seen:
                seen.add(node.outputs[0])
                waiting.append(node.outputs[0])
    return min(bounds, default=None)


def _rows(gather: ir.Node, model: Model) -> Iterator[int]:
    table = gather.inputs[0]
    known = model.types.get(table.name or "") if table is not None else None
    axis = gather.attributes.get_int("axis", 0)
    if known is not None and known.shape is not None and axis < len(known.shape):
        size = known.shape[axis]
        if isinstance(size, int):
            yield size
