"""`open_data`: every form of data, as batches for one model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from onnxpress.data.batch import Array, Data
from onnxpress.data.callables import import_callable
from onnxpress.data.columns import Column, open_npy, open_npz
from onnxpress.data.items import Reader, is_array_like, to_array
from onnxpress.data.match import match
from onnxpress.data.options import OPTION_NAMES, Options, read_options
from onnxpress.data.rows import DEFAULT_BATCH, row_data
from onnxpress.data.signature import Signature
from onnxpress.data.sources import BatchReader, Indexed
from onnxpress.data.spec import Request, parse_spec, parse_table
from onnxpress.data.stream import StreamData
from onnxpress.errors import DataError, OnnxpressError, OptionError, UsageError

if TYPE_CHECKING:
    from onnxpress.graph.model import Model

FORMS: Final = (
    "a path, a SPEC, a table, arrays, an iterable of batches, a CalibrationDataReader, "
    "or a function that returns one of them"
)
_FILES: Final[Mapping[str, Callable[[Path], dict[str, Column]]]] = {
    ".npy": open_npy,
    ".npz": open_npz,
}


def open_data(source: object, model: Model) -> Data:
    """Open data for a model.

    Args:
        source: One of

            - a SPEC: ``path[:input=array,…,labels=array][?limit=N&batch=N&…]`` with a
              ``.npz`` or ``.npy`` file or a folder of images, or ``package.module:callable``;
            - the same as a table: ``{"path": …, "input": …, "labels": …, "limit": …}``;
            - arrays: one, a tuple ``(inputs…, labels)``, or a dict by name, which may hold
              options as well: ``{"image": x, "labels": y, "scale": 1 / 255}``;
            - an iterable of batches, each an array, a tuple or a dict: a list, a
              generator, a torch ``DataLoader``, a ``tf.data.Dataset``, …;
            - an ONNX Runtime ``CalibrationDataReader``;
            - a function without arguments that returns any of these;
            - `Data`, which is returned as it is.
        model: What the data is for: its inputs decide names, shapes and types.

    Raises:
        UsageError: If there is no such source, or names or options are wrong.
        DataError: If arrays can't be used; says which, in which batch, and what to do.
    """
    if isinstance(source, Data):
        return source
    signature = Signature.of(model)
    if isinstance(source, str | os.PathLike):
        return _from_request(parse_spec(os.fspath(source)), signature)
    if isinstance(source, Mapping) and isinstance(source.get("path"), str | os.PathLike):
        return _from_request(parse_table(source), signature)
    if callable(source) and not isinstance(source, Iterable):
        name = getattr(source, "__name__", type(source).__name__)
        return _from_object(_call(source, name), _Asked(name, source, signature))
    options: Mapping[str, object] = {}
    if isinstance(source, Mapping):
        source, options = _apart(source, signature)
    asked = _Asked(_name_of(source), _origin_of(source), signature)
    return _from_object(source, replace(asked, options=read_options(options)))


def _apart(
    source: Mapping[Any, object], signature: Signature
) -> tuple[Mapping[Any, object], dict[str, object]]:
    """Tell the options beside arrays from the arrays."""
    options = {
        key: value
        for key, value in source.items()
        if key in OPTION_NAMES and key not in signature.names and not is_array_like(value)
    }
    if not options:
        return source, {}
    return {key: value for key, value in source.items() if key not in options}, options


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is known besides the data itself."""

    name: str
    origin: object
    signature: Signature
    arrays: Mapping[str, str] = field(default_factory=dict)
    options: Options = field(default_factory=Options)


def _from_request(request: Request, signature: Signature) -> Data:
    options = read_options(request.options)
    asked = _Asked(request.text, request.place, signature, request.arrays, options)
    if not request.is_path:
        function = import_callable(request.place)
        return _from_object(_call(function, request.place), asked)
    path = Path(request.place)
    if path.is_dir():
        return _from_folder(path, asked)
    opener = _FILES.get(path.suffix.lower())
    if opener is None:
        raise UsageError(
            f"{path} can't be read as data: known are .npz and .npy files, folders of images, and "
            "package.module:callable for anything else"
        )
    return _from_columns(opener(path), asked, str(path.resolve()))


def _from_folder(path: Path, asked: _Asked) -> Data:
    from onnxpress.data.images import open_folder

    if asked.arrays:
        key = next(iter(asked.arrays))
        raise OptionError(f"{asked.name}: a folder of images has no arrays to name with {key}=…")
    folder = open_folder(path, asked.signature, asked.options)
    options = replace(asked.options, layout=folder.layout)
    columns = {asked.signature.names[0]: folder.images}
    data = row_data(
        asked.name, str(path.resolve()), columns, folder.labels, asked.signature, options
    )
    data.notes += (folder.note,) if folder.note else ()
    return data


def _from_columns(columns: Mapping[str, Column], asked: _Asked, place: str | None) -> Data:
    """Make data of named columns; `place` is None for arrays in memory."""
    _refuse_image_options(asked)
    matching = match(columns, asked.signature.inputs, asked.arrays, asked.name)
    chosen = {name: columns[array] for name, array in matching.inputs.items()}
    labels = None if matching.labels is None else columns[matching.labels]
    first = next(iter(chosen.values()))
    origin = asked.origin if place is None else f"{place}:{first.name}"
    data = row_data(asked.name, origin, chosen, labels, asked.signature, asked.options)
    if labels is not None and "labels" not in asked.arrays:
        data.notes += (f"array {labels.name!r} holds the labels",)
    return data


def _from_object(value: object, asked: _Asked) -> Data:
    if isinstance(value, Data) and asked.options == Options():
        return value
    if arrays := _named_arrays(value, asked):
        return _from_columns({name: Column.of(name, a) for name, a in arrays.items()}, asked, None)
    if isinstance(value, tuple) and _is_set_of_arrays(value, asked.signature):
        return _from_tuple(value, asked)
    if isinstance(value, str | bytes | Mapping):
        raise DataError(_unusable(value, asked.name))
    if isinstance(value, Iterable | BatchReader):
        return _from_stream(value, asked)
    if hasattr(value, "__getitem__") and hasattr(value, "__len__"):  # torch's map-style Dataset
        return _from_indexed(value, asked)
    raise DataError(_unusable(value, asked.name))


def _unusable(value: object, name: str) -> str:
    return f"{name}: an object of type {type(value).__name__} can't feed a model; data is {FORMS}"


def _from_indexed(value: Any, asked: _Asked) -> Data:
    """Make data of what gives its samples, or its batches, by index."""
    batch = asked.signature.fixed or asked.options.batch or DEFAULT_BATCH
    options = replace(asked.options, batch=batch)
    return _from_stream(Indexed(value), replace(asked, options=options))


def _from_stream(value: Iterable[object] | BatchReader, asked: _Asked) -> Data:
    _refuse_image_options(asked)
    reader = Reader(asked.signature, asked.arrays, asked.name)
    return StreamData(asked.name, value, asked.origin, reader, asked.signature, asked.options)


def _named_arrays(value: object, asked: _Asked) -> dict[str, Array]:
    """Return the arrays of a dict, or a single one under a name of its own; else nothing."""
    if is_array_like(value):
        return {"data": to_array(value, asked.name)}
    if not isinstance(value, Mapping):
        return {}
    if "path" in value or any(isinstance(entry, str) for entry in value.values()):
        raise UsageError(
            f"a table of data needs a path, as text; it has {', '.join(map(str, value))}"
        )
    return {str(key): to_array(entry, f"{asked.name}: {key!r}") for key, entry in value.items()}


def _is_set_of_arrays(value: tuple[object, ...], signature: Signature) -> bool:
    count = len(signature.inputs)
    return len(value) in {count, count + 1} and all(map(is_array_like, value))


def _from_tuple(value: tuple[object, ...], asked: _Asked) -> Data:
    """Make data of ``(inputs…)`` or ``(inputs…, labels)``, each for all samples."""
    _refuse_image_options(asked)
    if asked.arrays:
        raise OptionError(f"{asked.name} gives a tuple, so its arrays have no names to ask for")
    names = asked.signature.names
    columns = [
        Column.of(name, to_array(array, f"{asked.name}: {name!r}"))
        for name, array in zip((*names, "labels"), value, strict=False)
    ]
    labels = columns[len(names)] if len(value) > len(names) else None
    chosen = dict(zip(names, columns, strict=False))
    return row_data(asked.name, asked.origin, chosen, labels, asked.signature, asked.options)


def _call(function: Callable[[], object], name: str) -> object:
    try:
        value = function()
    except OnnxpressError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise DataError(f"{name}, called without arguments, raised {kind}: {error}") from error
    if value is None:
        raise DataError(f"{name} returned None; it should return {FORMS}")
    return value


def _refuse_image_options(asked: _Asked) -> None:
    for name in ("size", "resize"):
        if getattr(asked.options, name) is not None:
            raise OptionError(f"{name} is for folders of images, and {asked.name} is none")


def _name_of(source: object) -> str:
    if is_array_like(source) or isinstance(source, Mapping | tuple):
        return "arrays"
    return "list of batches" if isinstance(source, list) else type(source).__name__


def _origin_of(source: object) -> object:
    """Return what two sources share if they share samples: the first array, or the object."""
    first = source
    if isinstance(source, Mapping | tuple) and source:
        first = next(iter(source.values())) if isinstance(source, Mapping) else source[0]
    return to_array(first, "data") if is_array_like(first) else source
