"""Running the training step: one session, state that stays where it is computed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from onnxpress.errors import ModelError, UsageError
from onnxpress.graph.model import Model
from onnxpress.ordering import CPU, open_in_order
from onnxpress.session import open_session, said
from onnxpress.training.blocked import to_blocked
from onnxpress.training.step import LOSS, NORM, Step

if TYPE_CHECKING:
    import onnxruntime as ort

    from onnxpress.data.batch import Array, Feeds


DEVICES: Final = {
    "CUDAExecutionProvider": "cuda",
    "TensorrtExecutionProvider": "cuda",
    "NvTensorRTRTXExecutionProvider": "cuda",
    "ROCMExecutionProvider": "cuda",  # ONNX Runtime's builds for AMD take the same word
    "MIGraphXExecutionProvider": "cuda",
    "DmlExecutionProvider": "dml",
}
"""Where slots lie, by provider; others (OpenVINO, CoreML, XNNPACK …) read and write main memory,
or ONNX Runtime offers no way to allocate theirs from Python, and copies at each step."""


def _open(model: Model, threads: int, provider: str) -> tuple[ort.InferenceSession, object]:
    """Load a step; on the CPU as its kernels like it best, if they take it."""
    if provider == CPU:
        blocked = Model(model.ir.clone())
        to_blocked(blocked.ir)
        with suppress(ModelError):
            return open_in_order(blocked, threads), None
    return open_session(model, threads=threads, provider=provider)


def _check_provider(provider: str) -> None:
    import onnxruntime as ort

    available = ort.get_available_providers()
    if provider not in available:
        raise UsageError(
            f"ONNX Runtime has no {provider} here; it has {', '.join(available)}; the packages "
            "onnxruntime-gpu, onnxruntime-directml … bring others"
        )


class Runner:
    """Runs a step again and again; what it carries from step to step never leaves the device.

    The step writes what a slot becomes where it lay before; see `onnxpress.training.update`
    for why that is safe.  A step whose losses or gradient are not finite changes nothing.

    Args:
        step: The step.
        threads: Threads within an operator; 0 takes one per core.
        provider: The execution provider to run on.

    Raises:
        UsageError: If ONNX Runtime has no such provider here.
        ModelError: If ONNX Runtime does not take the graph; says what it said.
    """

    def __init__(self, step: Step, *, threads: int = 0, provider: str = CPU) -> None:
        _check_provider(provider)
        self._step = step
        self._session, self._kept = _open(step.model, threads, provider)
        self._device = DEVICES.get(provider, "cpu")
        self._scalars = [LOSS, *step.losses, NORM]
        self._buffers = self._allocated()
        self._binding = self._bound()

    def run(self, feeds: Feeds) -> dict[str, float]:
        """Do one step, and return the losses and the norm of the gradient, by output name.

        Args:
            feeds: Arrays for all inputs but the slots.

        Raises:
            ModelError: If ONNX Runtime fails, with what it said.
        """
        binding = self._binding
        for name, array in feeds.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:  # ONNX Runtime's errors have no base class of their own
            raise ModelError(f"ONNX Runtime fails to run the step: {said(error)}") from error
        results = binding.get_outputs()[: len(self._scalars)]
        return {n: float(r.numpy()) for n, r in zip(self._scalars, results, strict=True)}

    def state(self) -> dict[str, Array]:
        """Return a copy of all slots, by the name of their input."""
        return {name: np.array(buffer.numpy()) for name, buffer in self._buffers.items()}

    def values(self) -> Mapping[str, ort.OrtValue]:
        """Return the slots where they lie; the next steps overwrite them."""
        return self._buffers

    def write(self, name: str, array: Array) -> None:
        """Replace what one slot holds, from the next step on."""
        self._buffers[name].update_inplace(np.ascontiguousarray(array))

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go on from other slots, such as those of a checkpoint."""
        for name, buffer in self._buffers.items():
            buffer.update_inplace(np.ascontiguousarray(state[name]))

    def _allocated(self) -> dict[str, ort.OrtValue]:
        import onnxruntime as ort

        return {
            slot.given: ort.OrtValue.ortvalue_from_numpy(slot.initial(), self._device, 0)
            for slot in self._step.slots
        }

    def _bound(self) -> Any:
        """Bind every slot to be read and written in one place."""
        binding = self._session.io_binding()
        for name in self._scalars:
            binding.bind_output(name, "cpu")
        for slot in self._step.slots:
            binding.bind_ortvalue_input(slot.given, self._buffers[slot.given])
            if slot.result:  # masks are only read
                binding.bind_ortvalue_output(slot.result, self._buffers[slot.given])
        return binding
