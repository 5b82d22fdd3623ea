"""Named arrays on their way between two processes: one file, no pickles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onnxpress.errors import OnnxpressError

if TYPE_CHECKING:
    from onnxpress.data.batch import Array


def read_arrays(path: Path) -> dict[str, Array]:
    """Read named arrays; no pickles."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[str(i)] for i, name in enumerate(file["names"].tolist())}


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write named arrays, strings as fixed-width text; names may be any text."""
    numbered = {str(i): _storable(name, array) for i, (name, array) in enumerate(arrays.items())}
    with path.open("wb") as file:
        np.savez(file, names=np.array(list(arrays), dtype=np.str_), **numbered)  # type: ignore[arg-type]


def _storable(name: str, value: object) -> Array:
    if not isinstance(value, np.ndarray):
        raise OnnxpressError(f"{name!r} is a {type(value).__name__}, not a tensor")
    return value.astype(np.str_) if value.dtype == object else value
