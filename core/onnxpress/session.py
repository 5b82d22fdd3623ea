"""Running a model in ONNX Runtime on the CPU, for calibration, metrics and checks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from onnxpress.errors import ModelError

if TYPE_CHECKING:
    from onnxpress.data.batch import Array, Feeds
    from onnxpress.graph.model import Model

# ONNX Runtime 1.32 reports home by default; it reads this when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


class Session:
    """A model loaded into ONNX Runtime.

    Args:
        model: The model.
        threads: Threads within an operator; 0 takes one per core.

    Raises:
        ModelError: If ONNX Runtime does not take the model, with what it said.
    """

    def __init__(self, model: Model, threads: int = 0) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(
                ir.to_proto(model.ir).SerializeToString(), options, ["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ModelError(f"ONNX Runtime does not load the model: {error}") from error
        self.outputs: tuple[str, ...] = tuple(o.name for o in self._session.get_outputs())

    def run(self, feeds: Feeds, outputs: Iterable[str] | None = None) -> dict[str, Array]:
        """Run once; return the wanted outputs (all by default) by name."""
        names = list(outputs) if outputs is not None else list(self.outputs)
        results: list[Any] = self._session.run(names, dict(feeds))
        return dict(zip(names, results, strict=True))
