"""What packed files cost: their size, and the time and memory it takes to load them.

    python tests/benchmarks/packing.py [--size 4096] [--types float32 …] [--shares 0.8 …]

One matrix, pruned at random to several shares, stored plain and packed, by element type.
Every file is loaded by ONNX Runtime in a process of its own, on one thread; memory is what
loading adds to the peak of that process.  ``zip`` is the plain file after ``gzip -6``.
With ``--layers 50``, as many matrices of the same bytes in all, as in a deep network.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np

SHARES: Final = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
TYPES: Final = ("float32", "float16", "int8")

LOAD: Final = """
import sys, json
from time import perf_counter
import onnxruntime as ort
from onnxpress.session import session_options
from pathlib import Path
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
before = peak()
start = perf_counter()
session = ort.InferenceSession(sys.argv[1], session_options(1))
print(json.dumps({"seconds": perf_counter() - start, "memory": peak() - before}))
"""


def main() -> None:
    """Print one line for each type and share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096, help="rows and columns")
    parser.add_argument("--layers", type=int, default=1, help="into how many to divide the rows")
    parser.add_argument("--types", nargs="+", default=TYPES, choices=TYPES)
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(f"{'':16}{'MB':>24}{'load ms':>20}{'peak MB':>20}{'write s':>10}{'read s':>8}")
    heads = ("plain", "packed", "zip", *("plain", "packed") * 2)
    print(f"{'':16}" + "".join(f"{h:>{8 if i < 3 else 10}}" for i, h in enumerate(heads)))
    with tempfile.TemporaryDirectory() as folder:
        for dtype in asked.types:
            for share in asked.shares:
                print(row(Path(folder), dtype, share, asked), flush=True)


def row(folder: Path, dtype: str, share: float, asked: argparse.Namespace) -> str:
    """Write both files and load them in turns."""
    plain, packed = folder / "plain.onnx", folder / "packed.onnx"
    seconds = write(plain, packed, dtype, share, asked)
    loads: dict[Path, list[dict[str, Any]]] = {plain: [], packed: []}
    for _ in range(asked.rounds):
        for path, found in loads.items():
            found.append(loaded(path))
    sizes = [path.stat().st_size / 1e6 for path in (plain, packed)]
    zipped = len(gzip.compress(plain.read_bytes(), 6)) / 1e6
    best = [f"{min(f['seconds'] for f in found) * 1e3:10.0f}" for found in loads.values()]
    peaks = [f"{min(f['memory'] for f in found):10.0f}" for found in loads.values()]
    numbers = "".join(f"{n:8.2f}" for n in (*sizes, zipped))
    times = f"{seconds[0]:10.2f}{seconds[1]:8.2f}"
    return f"{dtype:10}{share:6.2f}{numbers}{''.join(best)}{''.join(peaks)}{times}"


def write(
    plain: Path, packed: Path, dtype: str, share: float, asked: argparse.Namespace
) -> tuple[float, float]:
    """Write a chain of products plain and packed; return the seconds to pack and to read."""
    from onnxpress.graph.model import Model
    from onnxpress.packing.marks import mark_packed
    from onnxpress.packing.stored import packable

    model = chain(dtype, share, asked)
    model.save(plain)
    edit = model.edit()
    mark_packed(edit.ir, packable(edit.ir))
    start = perf_counter()
    edit.done().save(packed)
    middle = perf_counter()
    Model.load(packed)
    return middle - start, perf_counter() - middle


def chain(dtype: str, share: float, asked: argparse.Namespace) -> Any:
    """Return a model with the matrices; integers go through DequantizeLinear."""
    from onnx import TensorProto, helper, numpy_helper

    from onnxpress.graph.model import Model

    nodes, tensors, value = [], [numpy_helper.from_array(np.float32(0.02), "s")], "x"
    for i, weight in enumerate(weights(dtype, share, asked)):
        tensors.append(numpy_helper.from_array(weight, f"w{i}"))
        floats = {"int8": ("DequantizeLinear", [f"w{i}", "s"])}.get(dtype, ("Identity", [f"w{i}"]))
        nodes.append(helper.make_node(*floats, [f"f{i}"]))
        nodes.append(helper.make_node("MatMul", [value, f"f{i}"], [f"h{i}"]))
        nodes.append(helper.make_node("ReduceSum", [f"h{i}"], [f"r{i}"], keepdims=1))
        nodes.append(helper.make_node("Add", ["x", f"r{i}"], [f"y{i}"]))
        value = f"y{i}"
    kind = TensorProto.FLOAT16 if dtype == "float16" else TensorProto.FLOAT
    rows = asked.size // asked.layers
    infos = [helper.make_tensor_value_info(n, kind, ["N", rows]) for n in ("x", value)]
    graph = helper.make_graph(nodes, "chain", infos[:1], infos[1:], tensors)
    opset = [helper.make_opsetid("", 21)]
    return Model.from_proto(helper.make_model(graph, opset_imports=opset, ir_version=10))


def weights(dtype: str, share: float, asked: argparse.Namespace) -> Iterator[Any]:
    rng = np.random.default_rng(0)
    for _ in range(asked.layers):
        weight = rng.standard_normal((asked.size // asked.layers, asked.size), np.float32)
        weight[rng.random(weight.shape, np.float32) < share] = 0
        yield (weight * (30 if dtype == "int8" else 1)).astype(dtype)


def loaded(path: Path) -> dict[str, Any]:
    """Load a file in a process of its own."""
    run = [sys.executable, "-c", LOAD, str(path)]
    found = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    figures: dict[str, Any] = json.loads(found)
    return figures


if __name__ == "__main__":
    main()
