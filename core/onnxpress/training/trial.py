"""Trying out weights that are in training, without building a model of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from onnxpress.ordering import CPU
from onnxpress.session import open_session
from onnxpress.training.lift import collect_constants, lift_parameters

if TYPE_CHECKING:
    import onnxruntime as ort

    from onnxpress.data.batch import Array, Feeds
    from onnxpress.graph.model import Model

Run: TypeAlias = "Callable[[Feeds], Mapping[str, Array]]"


class Trial:
    """A model whose trained tensors are fed; one session for a whole fit.

    Args:
        model: The model.
        names: The stored tensors to feed.
        threads: Threads within an operator.
        provider: The execution provider.
    """

    def __init__(
        self, model: Model, names: Sequence[str], *, threads: int = 0, provider: str = CPU
    ) -> None:
        edit = model.edit()
        collect_constants(edit.ir)
        lift_parameters(edit.graph, names)
        self._outputs = [value.name or "" for value in model.outputs]
        self._session, self._kept = open_session(edit.done(), threads=threads, provider=provider)
        wanted = {i.name for i in self._session.get_inputs()}
        self._names = [name for name in names if name in wanted]

    def with_values(self, values: Mapping[str, ort.OrtValue]) -> Run:
        """Return a function that runs the model with these values."""
        import onnxruntime as ort

        weights = {name: values[name] for name in self._names}

        def run(feeds: Feeds) -> Mapping[str, Array]:
            given = {
                n: ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(a))
                for n, a in feeds.items()
            }
            results = self._session.run_with_ort_values(self._outputs, {**given, **weights})
            return {n: r.numpy() for n, r in zip(self._outputs, results, strict=True)}

        return run
