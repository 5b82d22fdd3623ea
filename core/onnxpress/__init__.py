"""Make trained networks smaller and faster, and say honestly what it cost.

Names are imported when they are first used, so that ``import onnxpress`` stays
fast: the graph model alone takes half a second to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxpress.benchmarking import benchmark
    from onnxpress.comparison import compare
    from onnxpress.compressing import compress
    from onnxpress.contract import (
        Availability,
        Executable,
        Importer,
        Objective,
        Runtime,
        Transform,
    )
    from onnxpress.errors import OnnxpressError
    from onnxpress.graph.model import Model
    from onnxpress.hooks import CONTRACT, hookimpl
    from onnxpress.importing import load
    from onnxpress.inspection import inspect
    from onnxpress.job import Job
    from onnxpress.plugins import Plugins
    from onnxpress.rules import Rule

_WHERE = {
    "CONTRACT": "hooks",
    "Availability": "contract",
    "Executable": "contract",
    "Importer": "contract",
    "Job": "job",
    "Model": "graph.model",
    "Objective": "contract",
    "OnnxpressError": "errors",
    "Plugins": "plugins",
    "Rule": "rules",
    "Runtime": "contract",
    "Transform": "contract",
    "benchmark": "benchmarking",
    "compare": "comparison",
    "compress": "compressing",
    "hookimpl": "hooks",
    "inspect": "inspection",
    "load": "importing",
}

__all__ = [
    "CONTRACT",
    "Availability",
    "Executable",
    "Importer",
    "Job",
    "Model",
    "Objective",
    "OnnxpressError",
    "Plugins",
    "Rule",
    "Runtime",
    "Transform",
    "benchmark",
    "compare",
    "compress",
    "hookimpl",
    "inspect",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'onnxpress' has no attribute {name!r}")
    value = getattr(import_module(f"onnxpress.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
