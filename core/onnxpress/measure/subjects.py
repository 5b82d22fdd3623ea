"""The models to be measured: their names, their files, and what they are timed on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from onnxpress.errors import OnnxpressError, UsageError, suggestion
from onnxpress.measure.arrays import write_arrays

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.model import Model

Source: TypeAlias = "str | os.PathLike[str] | Model"


@dataclass
class Subject:
    """A model to be measured.

    Attributes:
        name: What the result calls it; told apart from all others.
        path: Its file.
        model: What was read of it; None if it can't be read.
        bytes_stored: The size of its file and external data.
        feeds: The file with the arrays to time it on.
        inputs: The shapes of those arrays, by name.
        batch: How many samples those are.
        failure: Why it can't be measured; empty if it can.
    """

    name: str
    path: Path
    model: Model | None = None
    bytes_stored: int = 0
    feeds: Path = Path()
    inputs: Mapping[str, Sequence[int]] = field(default_factory=dict)
    batch: int = 1
    failure: str = ""

    def prepare(self, samples: Callable[[Model], Mapping[str, Array]], batch: int) -> None:
        """Write the arrays to time it on beside `feeds`; what goes wrong is its failure.

        Args:
            samples: Makes the arrays for a model.
            batch: How many samples they are, where the model leaves it open.
        """
        from onnxpress.measure.inputs import samples_per_run

        if self.model is None:
            return
        try:
            arrays = samples(self.model)
            write_arrays(self.feeds, arrays)
            self.inputs = {name: array.shape for name, array in arrays.items()}
            self.batch = samples_per_run(self.model, batch)
        except OnnxpressError as error:
            self.failure = str(error)
        self.model = None  # read for this alone


def subjects(sources: Sequence[Source], folder: Path) -> list[Subject]:
    """Look at every model; those that are only in memory are saved below `folder`.

    Raises:
        UsageError: If a file does not exist.
    """
    paths = [_path(source) for source in sources]
    names = _distinct([_name(source, path) for source, path in zip(sources, paths, strict=True)])
    return [
        _subject(name, source, path, folder / str(index))
        for index, (name, source, path) in enumerate(zip(names, sources, paths, strict=True))
    ]


def _path(source: Source) -> Path | None:
    """Return the file given, None for a model in memory."""
    from onnxpress.graph.model import Model

    if isinstance(source, Model):
        return None
    if not isinstance(source, str | os.PathLike):
        raise UsageError(
            f"a {type(source).__name__} can't be measured; give a file or a Model, which "
            "onnxpress.load makes of it"
        )
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the .onnx file in it")
    siblings = [f.name for f in path.parent.glob("*.onnx")] if path.parent.is_dir() else []
    raise UsageError(f"there is no file {str(path)!r}{suggestion(path.name, siblings)}")


def _name(source: Source, path: Path | None) -> str:
    if path is not None:
        return str(source)
    loaded_from = getattr(source, "path", None)
    return loaded_from.name if isinstance(loaded_from, Path) else "model"


def _distinct(names: Sequence[str]) -> list[str]:
    seen: Counter[str] = Counter()
    distinct = []
    for name in names:
        seen[name] += 1
        distinct.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return distinct


def _subject(name: str, source: Source, path: Path | None, own: Path) -> Subject:
    own.mkdir()
    subject = Subject(name, path or own / "model.onnx", feeds=own / "feeds.npz")
    try:
        subject.model, files = _read(source, subject.path)
        subject.bytes_stored = sum(file.stat().st_size for file in files)
    except OnnxpressError as error:
        subject.failure = str(error).removeprefix(f"{path}: ")
        subject.bytes_stored = subject.path.stat().st_size if path else 0
    return subject


def _read(source: Source, path: Path) -> tuple[Model, Iterable[Path]]:
    """Return the model, to know its inputs, and the files it consists of."""
    from onnxpress.graph.model import Model
    from onnxpress.graph.size import files

    if isinstance(source, str | os.PathLike):
        model = Model.load(path)
        return model, files(model)
    source.save(path)
    return source, path.parent.iterdir()
