"""Small networks with channels, heads and blocks, and what is cut out of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxpress.data import open_data
from onnxpress.data.batch import Data
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress_pruning import MagnitudePruning, SaliencyPruning
from tests.graphs import graph, normal


def residual(blocks: int = 2, width: int = 16) -> Model:
    """Return a classifier of 8×8 images: ``stem``, blocks ``a1, b1``, ``a2, b2`` …, and ``fc``.

    The trunk (the stem and every b) is one channel group, every a is one of its own.
    """
    tensors: dict[str, Any] = {"stem_w": normal(width, 3, 3, 3), "fc_w": normal(width, 10)}
    lines = ["stem = Conv<pads = [1,1,1,1]>(x, stem_w)", *_norm("stem", width, tensors)]
    lines.append("r0 = Relu(stem_n)")
    for i in range(1, blocks + 1):
        for name, given in ((f"a{i}", f"r{i - 1}"), (f"b{i}", f"c{i}")):
            tensors[f"{name}_w"] = normal(width, width, 3, 3, seed=ord(name[0]) * i) / 9
            lines.append(f"{name} = Conv<pads = [1,1,1,1]>({given}, {name}_w)")
            lines += _norm(name, width, tensors)
            lines += [f"c{i} = Relu(a{i}_n)"] if name.startswith("a") else []
        lines += [f"s{i} = Add(b{i}_n, r{i - 1})", f"r{i} = Relu(s{i})"]
    lines += [f"p = GlobalAveragePool(r{blocks})", "f = Flatten(p)", "fc = MatMul(f, fc_w)"]
    body = "\n".join(lines)
    return graph(f"g (float[N,3,8,8] x) => (float[N,10] fc) {{ {body} }}", **tensors)


def _norm(name: str, width: int, tensors: dict[str, Any]) -> list[str]:
    seed = sum(map(ord, name))
    tensors[f"{name}_s"] = np.abs(normal(width, seed=seed)) + np.float32(0.5)
    tensors[f"{name}_t"] = normal(width, seed=seed + 1)
    tensors[f"{name}_m"] = normal(width, seed=seed + 2) / 4
    tensors[f"{name}_v"] = np.abs(normal(width, seed=seed + 3)) + np.float32(0.5)
    parts = ", ".join(f"{name}_{part}" for part in "stmv")
    return [f"{name}_n = BatchNormalization({name}, {parts})"]


def attention(heads: int = 4, size: int = 4) -> Model:
    """Return a classifier of sequences: attention with q, k, v and o, each of its own weight."""
    width = heads * size
    split = np.array([0, 0, heads, size])
    tensors = {
        **{f"w{n}": normal(width, width, seed=ord(n)) / 4 for n in "qkvo"},
        "wf": normal(width, 10),
        "split": split,
        "join": np.array([0, 0, width]),
        "scale": np.float32(size**-0.5),
        "one": np.array([1]),
    }
    made = "\n".join(
        f"{n} = MatMul(x, w{n})\n {n}r = Reshape({n}, split)\n "
        f"{n}t = Transpose<perm = [{'0,2,3,1' if n == 'k' else '0,2,1,3'}]>({n}r)"
        for n in "qkv"
    )
    return graph(
        f"""g (float[N,S,{width}] x) => (float[N,10] y) {{ {made}
        a = MatMul(qt, kt)
        b = Mul(a, scale)
        c = Softmax(b)
        d = MatMul(c, vt)
        e = Transpose<perm = [0,2,1,3]>(d)
        f = Reshape(e, join)
        o = MatMul(f, wo)
        p = ReduceMean<keepdims = 0>(o, one)
        y = MatMul(p, wf) }}""",
        **tensors,
    )


def images(model: Model, count: int = 32) -> Data:
    """Return labelled images for `residual`, or sequences for `attention`."""
    shape = (3, 8, 8) if len(model.inputs[0].shape or ()) == 4 else (5, 16)
    x = normal(count, *shape, seed=3)
    labels = np.random.default_rng(4).integers(0, 10, count)
    return open_data({"x": x, "labels": labels}, model)


def cut(model: Model, *, job: Job | None = None, **options: Any) -> Model:
    """Prune channels, by magnitude unless the criterion is one of saliency."""
    saliency = options.get("criterion") in SALIENCIES
    kind = SaliencyPruning if saliency else MagnitudePruning
    return kind(**{"structure": "channel", **options}).apply(model, job or Job())


SALIENCIES = (
    *("snip", "taylor", "taylor-activation", "fisher", "obd", "grasp", "synflow", "wanda"),
    *("activation-mean", "apoz", "shuffled"),
)
MAGNITUDES = ("l1", "l2", "lamp", "fpgm", "bn-scale", "random")


def widths(model: Model) -> dict[str, int]:
    """Return how many outputs every layer has that is no normalisation."""
    return {
        layer.name: layer.weight.shape[layer.weight.output_axis or 0]
        for layer in model.layers
        if not layer.normalizes
    }
