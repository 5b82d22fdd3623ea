"""`linear-quantization` against `onnxruntime.quantization.quantize_static`.

    python tests/benchmarks/quantize.py [--shared ../shared] [--rounds 3] [--batch 32] [--quality]

Both read a file and write a file, calibrated on the same batches, each run in a process of
its own, taking turns.  Times leave imports out; memory is the peak of the whole process.
With ``--quality``, also the accuracy and the latency of the files that come out.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

METHODS: Final = ("min-max", "percentile")
MEAN, STD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)


# One run, in a process of its own.


def work(asked: argparse.Namespace) -> None:
    """Quantize once; print seconds and peak memory as JSON."""
    with np.load(asked.images) as arrays:
        images = arrays["x"][: asked.count]
    batches = [
        {asked.input: images[i : i + asked.batch]} for i in range(0, len(images), asked.batch)
    ]
    seconds = {"ours": ours, "peer": peer}[asked.work](asked, batches)
    from onnxpress.measure.memory import peak_memory_mb

    print(json.dumps({"seconds": seconds, "memory": peak_memory_mb()}))


def ours(asked: argparse.Namespace, batches: list[dict[str, Any]]) -> float:
    import onnxruntime  # noqa: F401

    import onnxpress_quantization.static  # noqa: F401
    from onnxpress.data import open_data
    from onnxpress.graph.model import Model
    from onnxpress.job import Job
    from onnxpress_quantization import LinearQuantization

    start = perf_counter()
    model = Model.load(asked.model)
    step = LinearQuantization(calibration=asked.method)
    step.apply(model, Job(data=open_data(batches, model))).save(asked.out)
    return perf_counter() - start


def peer(asked: argparse.Namespace, batches: list[dict[str, Any]]) -> float:
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rest = iter(batches)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._rest, None)

    methods = {"min-max": CalibrationMethod.MinMax, "percentile": CalibrationMethod.Percentile}
    start = perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        quantize_static(
            asked.model,
            asked.out,
            Reader(),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=methods[asked.method],
        )
    return perf_counter() - start


# What is measured.


class Subject:
    """A model file, what to feed it, and how to measure quantizing it."""

    def __init__(self, model: Path, images: Path, name: str, batch: int) -> None:
        self.model, self.images, self.input, self.batch = model, images, name, batch

    def measure(self, who: str, method: str, count: int, out: Path) -> dict[str, float]:
        command = [sys.executable, __file__, "--work", who, "--method", method]
        command += ["--model", str(self.model), "--images", str(self.images), "--out", str(out)]
        command += ["--input", self.input, "--count", str(count), "--batch", str(self.batch)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found


def resnet(folder: Path, shared: Path, batch: int) -> Subject:
    with np.load(shared / "data/cifar10_train_20k.npz") as arrays:
        images = (arrays["x"][:1024].astype(np.float32) / 255 - MEAN) / STD
    np.savez(folder / "cifar.npz", x=np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    model = shared / "models/cifar10_resnet20/resnet20.onnx"
    return Subject(model, folder / "cifar.npz", "input", batch)


def generated(folder: Path, nodes: int, batch: int) -> Subject:
    """Make a chain of residual blocks of five nodes, with eight channels of 8 × 8."""
    rng = np.random.default_rng(0)
    made: list[onnx.NodeProto] = []
    tensors: list[onnx.TensorProto] = []
    last = "x"
    for block in range(nodes // 5):
        before = last
        for half in "ab":
            name = f"conv{block}{half}"
            weight = rng.standard_normal((8, 8, 3, 3)) * 0.05
            tensors.append(numpy_helper.from_array(weight.astype(np.float32), f"{name}.weight"))
            conv = [last, f"{name}.weight"]
            made.append(helper.make_node("Conv", conv, [name], name, pads=[1] * 4))
            if half == "a":
                made.append(helper.make_node("Relu", [name], [f"{name}.relu"], f"{name}.relu"))
                last = f"{name}.relu"
        total = [f"conv{block}b", before]
        made.append(helper.make_node("Add", total, [f"add{block}"], f"add{block}"))
        made.append(helper.make_node("Relu", [f"add{block}"], [f"relu{block}"], f"relu{block}"))
        last = f"relu{block}"
    start, end = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 8, 8, 8])
        for name in ("x", last)
    )
    graph = helper.make_graph(made, "generated", [start], [end], tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    path = folder / f"generated{nodes}.onnx"
    onnx.save(proto, path)
    np.savez(folder / "noise.npz", x=rng.standard_normal((256, 8, 8, 8)).astype(np.float32))
    return Subject(path, folder / "noise.npz", "x", batch)


# The tables.


def compare(subject: Subject, label: str, count: int, rounds: int, folder: Path) -> None:
    for method in METHODS:
        found: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
        for _ in range(rounds):  # taking turns, so that drift hits both
            for who, results in found.items():
                out = folder / f"{label}-{who}-{method}.onnx"
                results.append(subject.measure(who, method, count, out))
        median = {
            who: {key: statistics.median(r[key] for r in results) for key in results[0]}
            for who, results in found.items()
        }
        mine, theirs = median["ours"], median["peer"]
        print(
            f"{label:14} {method:10} {mine['seconds']:8.2f} {theirs['seconds']:8.2f}"
            f" {theirs['seconds'] / mine['seconds']:7.1f}x {mine['memory']:8.0f}"
            f" {theirs['memory']:8.0f} {mine['memory'] / theirs['memory']:7.2f}",
            flush=True,
        )


def quality(folder: Path, shared: Path) -> None:
    """Print accuracy on all test images, and latency relative to the float file."""
    from onnxpress import Plugins
    from onnxpress.benchmarking import benchmark

    with np.load(shared / "data/cifar10_test.npz") as arrays:
        images = (arrays["x"].astype(np.float32) / 255 - MEAN) / STD
        labels = arrays["y"].astype(np.int64)
    test = {"input": np.ascontiguousarray(images.transpose(0, 3, 1, 2)), "labels": labels}
    files = [shared / "models/cifar10_resnet20/resnet20.onnx"]
    files += [folder / f"resnet20-{w}-{m}.onnx" for m in METHODS for w in ("ours", "peer")]
    measured = benchmark(
        files, ["cpu"], data=test, metric="top-1", threads=1, plugins=Plugins.discover()
    )
    for file, result in zip(files, measured.results, strict=True):
        print(
            f"{file.stem:26} top-1 {result['accuracy']['value']:.4f}, "
            f"latency {result['latency_ms']['median']:.3f} ms "
            f"({result['ratio_to_first']['latency']:.3f} of float), "
            f"{file.stat().st_size:,} bytes"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--quality", action="store_true")
    for name in ("--work", "--model", "--images", "--input", "--method", "--out"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work(asked)
        return
    with tempfile.TemporaryDirectory() as name:
        run(asked, Path(name))


def run(asked: argparse.Namespace, folder: Path) -> None:
    print(f"{'':25} {'seconds':>17} {'':8} {'peak MB':>17}")
    print(f"{'model':14} {'method':10} {'ours':>8} {'peer':>8} {'':8} {'ours':>8} {'peer':>8}")
    image_net = resnet(folder, asked.shared, asked.batch)
    compare(image_net, "resnet20", 256, asked.rounds, folder)
    compare(generated(folder, 1500, asked.batch), "1,500 nodes", 64, asked.rounds, folder)
    for count in (64, 256, 1024):
        found = image_net.measure("ours", "percentile", count, folder / "out.onnx")
        print(f"ours, {count:5} images: {found['seconds']:.2f} s, {found['memory']:.0f} MB")
    for nodes in (2000, 4000):
        subject = generated(folder, nodes, 8)
        found = subject.measure("ours", "min-max", 16, folder / "out.onnx")
        print(f"ours, {nodes:5} nodes: {found['seconds']:.2f} s, {found['memory']:.0f} MB")
    if asked.quality:
        quality(folder, asked.shared)


if __name__ == "__main__":
    main()
