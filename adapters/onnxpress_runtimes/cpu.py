"""ONNX Runtime on this machine's CPU."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from onnxpress.contract import Availability, Executable, Runtime
from onnxpress.errors import ModelError
from onnxpress_runtimes.explain import explain

if TYPE_CHECKING:
    import onnxruntime

    from onnxpress.data.batch import Array, Feeds

_PROVIDER: Final = "CPUExecutionProvider"
_RECORD_PLACEMENT: Final = "session.record_ep_graph_assignment_info"


@final
class Cpu(Runtime):
    """ONNX Runtime's own kernels for the CPU, with all graph optimisations.

    Threads work within an operator (`threads` of them); operators run one after the
    other.  All other session options are left as ONNX Runtime has them: its threads
    spin for a moment when they wait, as they do in an application.
    """

    name: ClassVar[str] = "cpu"

    def __init__(self) -> None:
        # ONNX Runtime 1.32 reports home by default; it reads this when it is imported.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime

        self._onnxruntime = onnxruntime

    @classmethod
    def probe(cls) -> Availability:
        if find_spec("onnxruntime") is None:
            return Availability(usable=False, reason="pip install onnxruntime")
        return Availability(usable=True)

    def prepare(self, path: Path, threads: int) -> Executable:
        options = self._onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry(_RECORD_PLACEMENT, "1")
        try:
            session = self._onnxruntime.InferenceSession(path, options, [_PROVIDER])
        except Exception as error:
            raise ModelError(explain(error, self._onnxruntime.__version__)) from error
        session.disable_fallback()
        if session.get_providers()[0] != _PROVIDER:
            raise ModelError(f"it would run on {session.get_providers()[0]}, not on {_PROVIDER}")
        return _Loaded(session, threads)


@final
class _Loaded(Executable):
    """A session, ready to run."""

    def __init__(self, session: onnxruntime.InferenceSession, threads: int) -> None:
        self._session: Any = session
        self._outputs = [output.name for output in session.get_outputs()]
        self._threads = threads

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        return dict(zip(self._outputs, self._session.run(self._outputs, feeds), strict=True))

    def close(self) -> None:
        self._session = None

    @property
    def details(self) -> Mapping[str, Any]:
        return {
            "provider": self._session.get_providers()[0],
            "nodes": _placement(self._session),
            "optimisation": "all",
            "intra_op_threads": self._threads,
            "inter_op_threads": 1,
            "spinning": "ONNX Runtime's default",
        }


def _placement(session: Any) -> dict[str, int] | None:
    """Count the graph's nodes by provider; None before onnxruntime 1.24, which can't say."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    nodes: dict[str, int] = {}
    for part in session.get_provider_graph_assignment_info():
        nodes[part.ep_name] = nodes.get(part.ep_name, 0) + len(part.get_nodes())
    return nodes
