"""Finding what ``package.module:callable`` names."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from onnxpress.errors import DataError, UnknownNameError, UsageError


def import_callable(spec: str) -> Callable[..., Any]:
    """Return the object that ``package.module:name`` names; `name` may have dots.

    Modules in the current folder are found too.

    Raises:
        UsageError: If there is no such module, or the object can't be called.
        UnknownNameError: If the module has no such name; names the nearest.
        DataError: If the module raises while it is imported.
    """
    module_name, _, names = spec.partition(":")
    found: Any = _import(module_name)
    for name in names.split("."):
        if not hasattr(found, name):
            public = [n for n in dir(found) if not n.startswith("_")]
            raise UnknownNameError(f"name in {module_name}", name, public)
        found = getattr(found, name)
    if not callable(found):
        raise UsageError(f"{spec} is {type(found).__name__}, and can't be called")
    return found  # type: ignore[no-any-return]


def _import(name: str) -> Any:
    try:
        with _current_folder_importable():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise UsageError(
                f"there is neither a file nor a module {name!r}; modules are looked for in the "
                "current folder and where Python finds installed ones"
            ) from error
        raise DataError(f"module {name} can't be imported: {error}") from error
    except Exception as error:
        kind = type(error).__name__
        raise DataError(f"module {name} can't be imported: {kind}: {error}") from error


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
