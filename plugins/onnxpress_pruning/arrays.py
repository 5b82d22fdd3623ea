"""Arrays by name that a user brings along: masks, scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from onnxpress.errors import UsageError

if TYPE_CHECKING:
    from onnxpress.data.batch import Array


def read_arrays(source: Path | Mapping[str, Any], what: str) -> dict[str, Array]:
    """Return arrays by name, from a ``.npz`` file or as they are.

    Args:
        source: A file, or the arrays.
        what: What they are, for errors: ``masks``.

    Raises:
        UsageError: If there is no such file, or it is no ``.npz`` of plain arrays.
    """
    if isinstance(source, Mapping):
        return {name: np.asarray(array) for name, array in source.items()}
    try:
        with source.open("rb") as bytes_, np.load(bytes_) as file:  # numpy leaves it open
            return dict(file)
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {source} to read {what} from") from error
    except (OSError, ValueError, TypeError, EOFError, BadZipFile) as error:
        raise UsageError(f"{source} can't be read as a .npz of {what}: {error}") from error
