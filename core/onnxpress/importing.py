"""One door for every source of a model: the importers decide who reads it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from onnxpress.errors import ModelError, OnnxpressError, PluginError, UsageError, suggestion

if TYPE_CHECKING:
    from onnxpress.contract import Importer
    from onnxpress.data.batch import Array, Feeds
    from onnxpress.graph.model import Model
    from onnxpress.plugins import Plugins


def load(
    source: object,
    *,
    importer: str | None = None,
    example_inputs: Sequence[Array] | Feeds | None = None,
    plugins: Plugins | None = None,
) -> Model:
    """Turn any source that an importer accepts into a model.

    Args:
        source: A path, an object of a framework, or a `Model`, which is returned as it is.
        importer: The name of the importer to use, whether it accepts the source or not.
        example_inputs: Arrays to trace with, for sources that have no graph yet.
        plugins: Where importers are looked up; all that are installed by default.

    Raises:
        UsageError: If there is no such file, or not exactly one importer accepts the source.
        ModelError: If the source can't be used.
    """
    from onnxpress.graph.model import Model

    if isinstance(source, Model):
        return source
    if plugins is None:
        from onnxpress.plugins import Plugins

        plugins = Plugins.discover()
    kind = plugins.find_importer(importer) if importer else _choose(source, plugins)
    return _load(kind(), source, example_inputs)


def _choose(source: object, plugins: Plugins) -> type[Importer]:
    willing = plugins.accepting(source)
    if len(willing) == 1:
        return next(iter(willing.values()))
    if willing:
        raise UsageError(
            f"{len(willing)} importers accept {_shown(source)}: {', '.join(sorted(willing))}; "
            "say which with --importer, or importer=… in Python"
        )
    if _is_path(source) and not os.path.exists(source):
        raise UsageError(f"there is no file {_shown(source)}{_neighbours(Path(source))}")
    known = ", ".join(sorted(plugins.importers)) or "none"
    failed = "".join(f"\n  {f}" for f in plugins.failures)
    raise UsageError(
        f"no importer accepts {_shown(source)}; there are: {known}. "
        f"Importers for other formats are plugins, installed on their own{failed}"
    )


def _load(
    importer: Importer, source: object, example_inputs: Sequence[Array] | Feeds | None
) -> Model:
    from onnxpress.graph.model import Model

    try:
        model = importer.load(source, example_inputs)
    except (OnnxpressError, MemoryError):
        raise
    except Exception as error:  # a framework's own, which says nothing about where it came from
        raise ModelError(
            f"importer {importer.name!r} can't load {_shown(source)}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(model, Model):
        raise PluginError(f"importer {importer.name!r} returned {model!r}, which is no Model")
    return model


def _is_path(source: object) -> TypeGuard[str | os.PathLike[str]]:
    return isinstance(source, str | os.PathLike)


def _shown(source: object) -> str:
    if _is_path(source):
        path = Path(source)
        return f"{str(path)!r}{' (a directory)' if os.path.isdir(path) else ''}"
    return f"an object of type {type(source).__module__}.{type(source).__qualname__}"


def _neighbours(path: Path) -> str:
    try:
        names = [p.name for p in path.parent.iterdir()]
    except OSError:
        return f"; there is no folder {str(path.parent)!r} either"
    return hint if "did you mean" in (hint := suggestion(path.name, names)) else ""
