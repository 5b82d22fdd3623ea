"""Places to run and measure models."""

from __future__ import annotations

from collections.abc import Iterable

from onnxpress.contract import Runtime
from onnxpress.hooks import hookimpl
from onnxpress_runtimes.cpu import Cpu


@hookimpl
def onnxpress_runtimes() -> Iterable[type[Runtime]]:
    return [Cpu]
