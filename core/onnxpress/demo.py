"""`onnxpress demo`: the main job on a real model and real images that ship with the package.

Where they come from and under which licence is said in ``assets/LICENSE.md``.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onnxpress.atomic import replacing
from onnxpress.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from onnxpress.compressing import Result
    from onnxpress.events import Event
    from onnxpress.measure.results import Benchmark

MODEL: Final = "fashion_mnist_cnn.onnx"
TRAIN: Final = "fashion_mnist_train.npz"
TEST: Final = "fashion_mnist_test.npz"
SMALL: Final = "small.onnx"
REPORT: Final = "report.json"
# The sparsity was chosen on training images, where it costs 0.3 points of top-1.
STEPS: Final = ("magnitude-pruning:sparsity=0.3,scope=global", "linear-quantization")
_AS_INPUT: Final = ":input=x,labels=y?scale=1/255"


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo made.

    Attributes:
        folder: Where the files are: the original, its data, the result, the report.
        result: The compressed model and the report.
        benchmark: The original and the result, measured on this machine.
    """

    folder: Path
    result: Result
    benchmark: Benchmark


def run_demo(
    folder: str | os.PathLike[str] | None = None,
    console: Console | None = None,
    notify: Callable[[Event], None] = lambda _event: None,
    seconds: float = 2.0,
) -> DemoResult:
    """Prune, quantize and measure a small classifier of clothes, and print what came of it.

    Args:
        folder: Where to put the files; a new temporary folder by default.
        console: Where to print; the terminal by default.
        notify: Told of progress.
        seconds: How long each of the two models is timed.

    Raises:
        UsageError: If the folder can't be written to.
    """
    import onnxpress

    console = console or _terminal()
    place = _unpack(folder)
    train, test = (f"{place / name}{_AS_INPUT}" for name in (TRAIN, TEST))
    console.out(_INTRODUCTION.format(steps=", then ".join(STEPS)), highlight=False)
    result = onnxpress.compress(
        place / MODEL, list(STEPS), data=train, validation=test, metric="top-1", notify=notify
    )
    result.model.save(place / SMALL)
    result.report.save(place / REPORT)
    console.print(result.report, "")
    measured = onnxpress.benchmark(
        [place / MODEL, place / SMALL], data=test, metric="top-1", seconds=seconds, notify=notify
    )
    console.print(measured, "")
    console.out(_conclusion(place), highlight=False)
    return DemoResult(place, result, measured)


def _terminal() -> Console:
    from rich.console import Console

    return Console()


def _unpack(folder: str | os.PathLike[str] | None) -> Path:
    """Copy the demo's files into a folder, which is made if it is not there."""
    place = Path(tempfile.mkdtemp(prefix="onnxpress-demo-") if folder is None else folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name in (MODEL, TRAIN, TEST, "LICENSE.md"):
            with replacing(place / name) as file:
                file.write((files("onnxpress") / "assets" / name).read_bytes())
    except OSError as error:
        raise UsageError(
            f"the demo can't write to {place}: {error.strerror}; name another folder"
        ) from error
    return place


def _conclusion(place: Path) -> str:
    zipped = {name: len(zlib.compress((place / name).read_bytes())) for name in (MODEL, SMALL)}
    return _CONCLUSION.format(
        folder=place, small=SMALL, before=zipped[MODEL] / 1000, after=zipped[SMALL] / 1000
    )


_INTRODUCTION: Final = """\
A residual network that tells ten kinds of clothes apart (Fashion-MNIST), trained by us.
Steps: {steps}.
Calibrated on 512 training images, judged on 1,000 test images that nothing was fitted to.
"""

_CONCLUSION: Final = """\
Zeros alone make no file smaller and no dense kernel faster: size and speed are the work of
quantization.  Zeros pay where files are zipped: there, both steps took
{before:.0f} kB to {after:.0f} kB.

Files: {folder}

Next, with your own model:
  onnxpress inspect model.onnx
  onnxpress compress model.onnx -o {small} --step magnitude-pruning:sparsity=0.3 \\
      --step linear-quantization --data "train.npz?scale=1/255" --validation "test.npz?scale=1/255"
  onnxpress benchmark model.onnx {small} --data "test.npz?scale=1/255\""""
