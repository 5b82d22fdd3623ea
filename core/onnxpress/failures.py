"""Surviving plugins: what one of them raises is written down, and the program goes on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import shorten

from onnxpress.errors import PluginError, PluginWarning
from onnxpress.installed import BLOCK, Origin


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a plugin, or one thing it offers, was left out.

    Attributes:
        origin: Whose plugin it is.
        stage: Where it failed: ``import``, ``contract``, or the name of a hook.
        error: What was raised.
    """

    origin: Origin
    stage: str
    error: BaseException

    def __str__(self) -> str:
        return f"{self.origin} failed at {self.stage}: {self.cause}"

    @property
    def cause(self) -> str:
        """What was wrong, in one line."""
        said = shorten(str(self.error), 400, placeholder=" …")
        if isinstance(self.error, PluginError):
            return said
        return f"{type(self.error).__name__}: {said}"

    @property
    def whole(self) -> bool:
        """Whether the whole plugin was left out, not only something that it offers."""
        return self.stage in {"import", "contract"}


class Failures(list[Failure]):
    """What went wrong so far.

    Args:
        strict: Whether the first failure is raised as `PluginError`, not written down.
    """

    def __init__(self, *, strict: bool) -> None:
        super().__init__()
        self._strict = strict

    @contextmanager
    def survive(self, origin: Origin, stage: str) -> Iterator[None]:
        """Write down what is raised inside, and go on."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        # sys.exit, or a panic of native code, is no Exception.
        except BaseException as error:  # noqa: BLE001
            self._note(Failure(origin, stage, error))

    def _note(self, failure: Failure) -> None:
        if self._strict:
            raise PluginError(str(failure)) from failure.error
        if str(failure) not in map(str, self):
            self.append(failure)
            way_out = failure.origin.block and f" ({BLOCK}={failure.origin.block} silences this)"
            warnings.warn(f"{failure}; left out{way_out}", PluginWarning, stacklevel=2)
