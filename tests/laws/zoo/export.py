"""Exporting an entry of the zoo: the ``.onnx`` file, and what PyTorch answers to the same inputs.

The files lie in a folder below the system's temporary one, named after the versions of everything
that makes them, so that each network is exported once, not once a run.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import inspect
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from onnxpress.data.batch import Array
from tests.laws.zoo.net import Exporter, Net
from tests.laws.zoo.timm_nets import STUB

OPSETS: Final[Mapping[Exporter, int]] = {"torchscript": 17, "dynamo": 20}
BATCHES: Final = (2, 3)
"""The sizes for which PyTorch's answers are kept; the first is the export's."""

_MAKERS: Final = ("numpy", "onnx", "onnxscript", "torch", "timm", "transformers")


@dataclass(frozen=True)
class Case:
    """Inputs, and PyTorch's outputs, in order."""

    feeds: dict[str, Array]
    answers: tuple[Array, ...]


@dataclass(frozen=True)
class Exported:
    """A file of the zoo, and what it must answer."""

    path: Path
    cases: tuple[Case, ...]


def missing(net: Net) -> str:
    """Return what an entry needs and this machine lacks; empty if nothing."""
    lacking = [name for name in ("torch", *net.needs) if importlib.util.find_spec(name) is None]
    if "timm" in net.needs and not importlib.util.find_spec("torchvision") and not STUB.is_file():
        lacking.append(f"torchvision, or {STUB}")
    return ", ".join(lacking)


def exported(net: Net, exporter: Exporter, folder: Path | None = None) -> Exported:
    """Return the file of an entry and its answers; they are made where they are not there yet.

    Args:
        net: The entry.
        exporter: One of the entry's.
        folder: Where the files lie; by default as the module says.
    """
    folder = folder or cache_folder()
    path = folder / f"{net.name}-{exporter}.onnx"
    answers = path.with_suffix(".npz")
    if not (path.is_file() and answers.is_file()):
        _make(net, exporter, path, answers)
    return Exported(path, _read(answers))


def seeded(net: Net) -> Any:
    """Return the module in evaluation mode with the same weights every time.

    Every parameter gets noise, so that no two tensors are equal (exporters would store them
    once), none is zero or one all over, and inputs still show after many layers.  BatchNorm's
    statistics are those of random inputs, a little off, as they are in a trained network.
    """
    import torch

    torch.manual_seed(0)
    module = net.make().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            scale = 0.5 / parameter[0].numel() ** 0.5 if parameter.ndim > 1 else 0.1
            parameter.add_(scale * torch.randn_like(parameter))
        _measure_statistics(module, net)
    return module


def _measure_statistics(module: Any, net: Net) -> None:
    import torch

    kind = torch.nn.modules.batchnorm._BatchNorm
    norms: list[Any] = [m for m in module.modules() if isinstance(m, kind)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0  # what it saw last is all it knows
    if norms:
        module(*map(torch.from_numpy, net.feeds(8, seed=9).values()))
    for norm in norms:
        norm.eval()
        mean, variance = norm.running_mean, norm.running_var
        variance += 0.1 * variance.mean()  # or channels that hardly vary would blow up rounding
        mean += 0.1 * variance.sqrt() * torch.randn_like(mean)
        variance *= torch.empty_like(variance).uniform_(0.5, 1.5)


@cache
def cache_folder() -> Path:
    """Return the folder for this zoo as made by these versions."""
    made_by = hashlib.sha256(" ".join(map(_version, _MAKERS)).encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        made_by.update(file.read_bytes())
    folder = Path(tempfile.gettempdir()) / f"onnxpress-zoo-{os.getuid()}" / made_by.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _version(name: str) -> str:
    try:
        return f"{name}=={importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return name


def _make(net: Net, exporter: Exporter, path: Path, answers: Path) -> None:
    import torch

    with _quiet(), torch.no_grad():
        module = seeded(net)
        kept: dict[str, Array] = {}
        for number, batch in enumerate(BATCHES):
            feeds = net.feeds(batch, seed=number)
            outputs = module(*map(torch.from_numpy, feeds.values()))
            kept |= {f"{number}/in/{name}": value for name, value in feeds.items()}
            kept |= {f"{number}/out/{n}": v.numpy() for n, v in enumerate(_flat(outputs))}
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder)
            _export(module, net, exporter, made / "net.onnx")
            np.savez(made / "net.npz", **kept)  # type: ignore[arg-type]  # its stub knows a flag
            os.replace(made / "net.npz", answers)
            os.replace(made / "net.onnx", path)


def _export(module: Any, net: Net, exporter: Exporter, path: Path) -> None:
    import torch

    feeds = tuple(map(torch.from_numpy, net.feeds().values()))
    axes = {name: dict(fed.axes) for name, fed in net.inputs.items()}
    shared: Any = {"input_names": list(net.inputs), "opset_version": OPSETS[exporter]}
    if exporter == "torchscript":
        keep = (
            torch.onnx.TrainingMode.PRESERVE
        )  # of a module in evaluation mode; fuses no BatchNorm
        torch.onnx.export(
            module, feeds, path, dynamo=False, training=keep, dynamic_axes=axes, **shared
        )
        return
    free: tuple[Any, ...] = tuple(
        dict.fromkeys(named, torch.export.Dim.DYNAMIC) for named in axes.values()
    )
    if "values" in inspect.signature(module.forward).parameters:  # forward(self, *values)
        free = (free,)
    torch.onnx.export(
        module, feeds, path, dynamo=True, dynamic_shapes=free, external_data=False, **shared
    )


def _flat(outputs: Any) -> tuple[Any, ...]:
    return tuple(outputs) if isinstance(outputs, tuple | list) else (outputs,)


def _read(answers: Path) -> tuple[Case, ...]:
    with np.load(answers) as kept:
        arrays = dict(kept)
    return tuple(_case(arrays, f"{number}/") for number in range(len(BATCHES)))


def _case(arrays: Mapping[str, Array], prefix: str) -> Case:
    def of(side: str) -> dict[str, Array]:
        start = f"{prefix}{side}/"
        return {n.removeprefix(start): v for n, v in arrays.items() if n.startswith(start)}

    return Case(of("in"), tuple(of("out").values()))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what exporters print, warn and log."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
