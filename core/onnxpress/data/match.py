"""Which array feeds which input, and which holds the labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from onnxpress.data.options import OPTION_NAMES
from onnxpress.data.signature import Input
from onnxpress.errors import DataError, UnknownNameError, UsageError

INPUT_NAMES: Final = ("x", "image", "images", "data", "input", "inputs", "features")
LABEL_NAMES: Final = ("y", "label", "labels", "target", "targets")


class Described(Protocol):
    """Anything with a shape and an element type."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...


@dataclass(frozen=True, slots=True)
class Matching:
    """The array of every input, by input name, and the array of labels."""

    inputs: Mapping[str, str]
    labels: str | None


def match(
    arrays: Mapping[str, Described],
    inputs: Sequence[Input],
    asked: Mapping[str, str],
    source: str,
) -> Matching:
    """Decide which array goes where.

    What is asked for counts first, then equal names.  A model's only input takes the
    only array that holds numbers and is not called like labels; of several, the one
    with a usual name (`INPUT_NAMES`).  Labels are the one array with a usual name
    (`LABEL_NAMES`); beside an array ``x_test``, that is ``y_test``.

    Args:
        arrays: What there is, by name.
        inputs: What the model wants.
        asked: Array names by input name, or by ``input`` and ``labels``.
        source: What errors call the place where the arrays are.

    Raises:
        UnknownNameError: If an input or an array asked for does not exist.
        UsageError: If it can't be decided; lists the arrays and how to name them.
        DataError: If the array asked for holds Python objects or text.
    """
    _check_asked(arrays, inputs, asked, source)
    found = {i.name: _asked_for(i, inputs, asked) for i in inputs}
    for wanted in inputs:
        if found[wanted.name] is None and wanted.name in arrays:
            found[wanted.name] = wanted.name
    if len(inputs) == 1 and found[inputs[0].name] is None:
        found[inputs[0].name] = _only_candidate(arrays)
    chosen = {name: array for name, array in found.items() if array is not None}
    if missing := [i for i in inputs if i.name not in chosen]:
        raise UsageError(_unclear(arrays, missing, source))
    labels = asked.get("labels") or _find_labels(arrays, tuple(chosen.values()), source)
    _refuse_objects(arrays, [*chosen.values(), *filter(None, [labels])], source)
    return Matching(chosen, labels)


def _check_asked(
    arrays: Mapping[str, Described], inputs: Sequence[Input], asked: Mapping[str, str], source: str
) -> None:
    keys = {i.name for i in inputs} | {"labels"} | ({"input"} if len(inputs) == 1 else set())
    for key, array in asked.items():
        if key not in keys:
            hint = f"{key} is an option: write it after '?'" if key in OPTION_NAMES else ""
            raise UnknownNameError("data key", key, keys | OPTION_NAMES, filter(None, [hint]))
        if array not in arrays:
            raise UnknownNameError(f"array in {source}", array, arrays)


def _asked_for(wanted: Input, inputs: Sequence[Input], asked: Mapping[str, str]) -> str | None:
    alias = asked.get("input") if len(inputs) == 1 else None
    return asked.get(wanted.name, alias)


def _only_candidate(arrays: Mapping[str, Described]) -> str | None:
    if len(arrays) == 1:
        return next(iter(arrays))
    candidates = [name for name in arrays if _is_numeric(arrays[name]) and not _label_like(name)]
    if len(candidates) != 1:
        candidates = [name for name in candidates if name.lower() in INPUT_NAMES]
    return candidates[0] if len(candidates) == 1 else None


def _find_labels(arrays: Mapping[str, Described], used: Sequence[str], source: str) -> str | None:
    free = [name for name in arrays if name not in used and _is_numeric(arrays[name])]
    suffix = _suffix(used[0]) if len(used) == 1 else ""
    wanted = {label + end for label in LABEL_NAMES for end in {suffix, ""}}
    found = [name for name in free if name.lower() in wanted]
    if suffix and (paired := [name for name in found if name.lower().endswith(suffix)]):
        found = paired
    if len(found) > 1:
        raise UsageError(
            f"{source}: {' and '.join(map(repr, found))} could both be labels; "
            f"name one, as in labels={found[0]}"
        )
    return found[0] if found else None


def _suffix(name: str) -> str:
    """Return what follows a usual input name: ``_test`` of ``x_test``."""
    stem, underscore, end = name.lower().partition("_")
    return underscore + end if stem in INPUT_NAMES else ""


def _label_like(name: str) -> bool:
    return name.lower().partition("_")[0] in LABEL_NAMES


def _is_numeric(array: Described) -> bool:
    return array.dtype.kind in "biuf" or array.dtype.name.startswith(
        ("bfloat", "float", "int", "uint")
    )


def _refuse_objects(arrays: Mapping[str, Described], names: Iterable[str], source: str) -> None:
    for name in names:
        dtype = arrays[name].dtype
        if dtype.hasobject:
            raise DataError(
                f"{source}: array {name!r} holds Python objects, which are never unpickled; "
                "save it as an array of numbers"
            )
        if not _is_numeric(arrays[name]):
            raise DataError(
                f"{source}: array {name!r} is {dtype}, not numbers; labels are class indices, "
                "inputs are numbers"
            )


def _unclear(arrays: Mapping[str, Described], missing: Sequence[Input], source: str) -> str:
    wanted = ", ".join(f"{i.name!r} ({i})" for i in missing)
    listed = [f"  {name} {array.shape} {_kind(array)}" for name, array in arrays.items()]
    example = next((n for n in arrays if not _label_like(n) and _is_numeric(arrays[n])), "array")
    key = "input" if len(missing) == 1 else missing[0].name
    return "\n".join(
        [
            f"{source}: which array feeds {wanted}? There are:",
            *(listed or ["  none"]),
            f"name it, as in {source.partition(':')[0].partition('?')[0]}:{key}={example}",
        ]
    )


def _kind(array: Described) -> str:
    return "Python objects, never read" if array.dtype.hasobject else str(array.dtype)
