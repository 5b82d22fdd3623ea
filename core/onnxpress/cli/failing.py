"""From exceptions to a line on stderr and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final

import typer

from onnxpress.errors import OnnxpressError, PluginWarning, explained

_DEBUG: Final = "ONNXPRESS_DEBUG"
_INTERRUPTED: Final = 130


@contextmanager
def reporting() -> Iterator[None]:
    """Say what goes wrong inside in a line, and leave with the exit code that belongs to it.

    ``ONNXPRESS_DEBUG=1`` shows tracebacks as well; it is read here and nowhere else.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("default", PluginWarning)
        warnings.showwarning = _show_warning  # type: ignore[assignment]
        try:
            yield
        except KeyboardInterrupt:
            _leave("interrupted", _INTERRUPTED)
        except BrokenPipeError:  # whoever reads the output has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except OnnxpressError as error:
            _leave(f"error: {explained(error)}", error.exit_code)
        except MemoryError:
            _leave("error: there is not enough memory", 1)
        except Exception as error:
            if hasattr(error, "exit_code"):  # typer's own
                raise
            _leave(f"error: {_about_bug(error)}", 1)


def _leave(message: str, code: int) -> None:
    if os.environ.get(_DEBUG, "") not in {"", "0"}:
        traceback.print_exc()
    sys.stderr.write(f"{message}\n")
    raise typer.Exit(code) from None


def _about_bug(error: Exception) -> str:
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return (
        f"{said}\n  This is a bug in {_culprit(error.__traceback__)}. "
        f"{_DEBUG}=1 shows where; please report it with that."
    )


def _culprit(trace: TracebackType | None) -> str:
    """Return the package of ours, or of a plugin, in which something went wrong last."""
    packages = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(trace)]
    ours = [name.partition(".")[0] for name in packages if name.startswith("onnxpress")]
    return ours[-1] if ours else "onnxpress"


def _show_warning(message: Warning | str, *_rest: Any) -> None:
    sys.stderr.write(f"warning: {message}\n")
