"""`check_runtime`: what every runtime promises."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from onnxpress.contract import Availability
from onnxpress.testing.models import small_classifier
from onnxpress.testing.require import require, require_json

if TYPE_CHECKING:
    from onnxpress.contract import Executable, Runtime
    from onnxpress.data.batch import Array, Feeds
    from onnxpress.graph.model import Model


def check_runtime(
    runtime: type[Runtime],
    model: Model | None = None,
    *,
    rtol: float = 1e-3,
    atol: float = 1e-4,
    seed: int = 0,
) -> Availability:
    """Check a runtime; where it can't be used, only that it says why.

    - `probe` returns an `Availability`, with a reason if it is not usable.
    - `prepare` makes something that returns what ONNX Runtime on the CPU returns (names,
      types, shapes, values), again and again.
    - `details` can be written into a report; `close` may be called twice.

    Args:
        runtime: The class.
        model: What to run; a `small_classifier` by default.
        rtol: How far outputs may differ from ONNX Runtime's, relative to theirs.
        atol: The same, absolute.
        seed: Where the inputs come from.

    Returns:
        What `probe` said.

    Raises:
        AssertionError: Says which promise is broken, and how.
    """
    found = check_probe(runtime)
    if not found.usable:
        return found
    from onnxpress.data.random import runnable_feeds

    model = small_classifier() if model is None else model
    feeds = runnable_feeds(model, batch=2, seed=seed)
    expected = model.run(feeds)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.save(path)
        executable = runtime().prepare(path, threads=1)
        try:
            _check_outputs(runtime.name, executable, feeds, expected, rtol=rtol, atol=atol)
            require_json(dict(executable.details), f"the details of {runtime.name}")
        finally:
            executable.close()
        executable.close()
    return found


def check_probe(runtime: type[Runtime]) -> Availability:
    """Require that `Runtime.probe` answers, and gives a reason where the answer is no."""
    try:
        found = runtime.probe()
    except Exception as error:
        raise AssertionError(f"{runtime.name}.probe raised {error!r}") from error
    require(isinstance(found, Availability), f"{runtime.name}.probe returned {found!r}")
    said = found.usable or found.reason.strip()
    require(said, f"{runtime.name} is not usable and does not say why")
    return found


def _check_outputs(
    name: str,
    executable: Executable,
    feeds: Feeds,
    expected: dict[str, Array],
    *,
    rtol: float,
    atol: float,
) -> None:
    for _ in range(2):
        outputs = executable(feeds)
        require(list(outputs) == list(expected), f"{name} returned {list(outputs)}")
        for key, wanted in expected.items():
            got = outputs[key]
            require(
                (got.dtype, got.shape) == (wanted.dtype, wanted.shape),
                f"{name} returned {key!r} as {got.dtype} {got.shape}, "
                f"not {wanted.dtype} {wanted.shape}",
            )
            np.testing.assert_allclose(got, wanted, rtol, atol, err_msg=f"{name}: {key!r}")
