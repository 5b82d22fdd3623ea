"""Checkpoints: all that a fit needs to go on as if it had never stopped."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from onnxpress.atomic import replacing
from onnxpress.errors import OnnxpressError, UsageError

if TYPE_CHECKING:
    from onnxpress.data.batch import Array

_FORMAT: Final = 1
_META: Final = "meta"
_NOW: Final = "now/"
_BEST: Final = "best/"


@dataclass
class Position:
    """How far a fit has come.

    Attributes:
        epoch: The epoch that is running, from 0.
        batch: How many of its batches are done.
        updates: How many times parameters have changed.
        best: The best score so far on what is held out, None before there is one.
        best_epoch: After how many epochs that was.
        history: What was measured after each epoch.
        sums: The sums of the losses over the batches of this epoch that are done.
    """

    epoch: int = 0
    batch: int = 0
    updates: int = 0
    best: float | None = None
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)


@dataclass
class Checkpoint:
    """A fit at one moment.

    Attributes:
        made_by: What the fit was asked to do and on what, as text by key; a checkpoint is
            taken up only where all of it is the same.
        position: How far it had come.
        state: All slots, by name.
        best: The slots at the best score so far; empty if none are kept.
    """

    made_by: Mapping[str, str]
    position: Position
    state: Mapping[str, Array]
    best: Mapping[str, Array] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write it; either all of it or nothing.

        Raises:
            OnnxpressError: If it can't be written.
        """
        meta = {"format": _FORMAT, "made_by": self.made_by, "position": asdict(self.position)}
        arrays = {f"{_NOW}{name}": array for name, array in self.state.items()}
        arrays.update({f"{_BEST}{name}": array for name, array in self.best.items()})
        try:
            with replacing(path) as file:
                np.savez(file, **{_META: np.array(json.dumps(meta)), **arrays})  # type: ignore[arg-type]
        except OSError as error:
            reason = error.strerror or error
            raise OnnxpressError(f"can't write the checkpoint {path}: {reason}") from error


def read_checkpoint(
    path: Path, made_by: Mapping[str, str], slots: Mapping[str, str]
) -> Checkpoint | None:
    """Return the checkpoint at a path, None if there is no such file.

    Args:
        path: Where it is.
        made_by: What the fit that wants it is asked to do, as in `Checkpoint`.
        slots: Type and shape of every slot of that fit, by name.

    Raises:
        UsageError: If it is no checkpoint, or that of another fit; says what differs.
    """
    if not path.exists():
        return None
    found = _read(path)
    for key, wanted in made_by.items():
        if (was := found.made_by.get(key)) != wanted:
            raise UsageError(
                f"{path} is a checkpoint of another run: its {key} was {was}, and now it is "
                f"{wanted}; remove the file to begin anew, or name another with checkpoint=…"
            )
    if {name: f"{a.dtype} {a.shape}" for name, a in found.state.items()} != slots:
        raise UsageError(
            f"{path} is a checkpoint of another version of onnxpress, which kept other tensors; "
            "remove the file to begin anew, or name another with checkpoint=…"
        )
    return found


def check_place(path: Path) -> None:
    """Refuse, before any work, a path to which no checkpoint can be written.

    Raises:
        UsageError: Saying why.
    """
    folder, what = path.parent, f"can't write the checkpoint {path}"
    if path.is_dir():
        raise UsageError(f"{what}: it is a folder")
    if not folder.is_dir():
        raise UsageError(f"{what}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{what}: no permission to write to the folder {folder}")


def _read(path: Path) -> Checkpoint:
    try:
        # Opened here: numpy leaves a file open whose end is damaged.
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            meta = json.loads(str(file[_META]))
            arrays = {name: file[name] for name in file.files if name != _META}
        position = Position(**meta["position"])
        made_by = {str(key): str(value) for key, value in meta["made_by"].items()}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"{path} is no checkpoint of onnxpress, or it is damaged ({error}); remove it, or name "
            "another file with checkpoint=…"
        ) from error
    return Checkpoint(made_by, position, _part(arrays, _NOW), _part(arrays, _BEST))


def _part(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
