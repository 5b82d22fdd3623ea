"""Halving every channel group of a network: Torch-Pruning on the module, onnxpress on its file.

Both are asked for the same: the groups of the whole network, the outputs left alone, half of the
channels of each group gone.  What counts is what came out: which stored tensors are smaller, how
many parameters are left, whether the result runs and answers in the shapes of before.
"""

from __future__ import annotations

import importlib
import signal
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import torch

from onnxpress.channels import find_channels
from onnxpress.errors import OnnxpressError
from onnxpress.graph.model import Model
from onnxpress.graph.weights import STATISTICS
from onnxpress.session import Session
from tests.laws.zoo.net import Net

PATIENCE: Final = 120
"""Seconds that Torch-Pruning may take for one network: on some it searches for ever."""

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Halved:
    """What came of one network.

    Attributes:
        reached: The share of parameters that lie in tensors which got smaller.
        left: The share of parameters that is left.
        grouping: Seconds to find the groups.
        cutting: Seconds to score, choose and cut.
        trouble: Why it is no valid result; empty if it is one.
    """

    reached: float = 0.0
    left: float = 1.0
    grouping: float = 0.0
    cutting: float = 0.0
    trouble: str = ""


def by_torch_pruning(module: Any, net: Net) -> Halved:
    """Halve a module in place with Torch-Pruning's defaults and its magnitude importance."""
    tp = importlib.import_module("torch_pruning")
    inputs = tuple(map(torch.from_numpy, net.feeds().values()))
    before, wanted = _of_module(module), _output_shapes(module, inputs)
    started = perf_counter()
    try:
        with warnings.catch_warnings(), at_most(PATIENCE):
            warnings.simplefilter("ignore")
            pruner = tp.pruner.BasePruner(
                module,
                inputs[0] if len(inputs) == 1 else inputs,
                importance=tp.importance.GroupMagnitudeImportance(),
                pruning_ratio=0.5,
                ignored_layers=heads(module, inputs),
                num_heads=attention(module),
            )
            found = perf_counter()
            pruner.step()
            cut = perf_counter()
            _tell_attention(module, pruner.num_heads)
            trouble = "" if _output_shapes(module, inputs) == wanted else "other output shapes"
    except Exception as error:  # noqa: BLE001  # whatever it can't do is a result
        return Halved(trouble=_short(error))
    reached, left = _compared(before, _of_module(module))
    return Halved(reached, left, found - started, cut - found, trouble)


def by_onnxpress(path: Path, net: Net) -> Halved:
    """Halve a file: of each group the channels whose slices have the smallest L1 norm go."""
    model = Model.load(path)
    started = perf_counter()
    try:
        channels = find_channels(model)
        groups = channels.groups
        found = perf_counter()
        stored = {w.name: w.array() for layer in channels.model.layers for w in layer.tensors}
        smaller = channels.cut({g.name: _weakest(g, stored) for g in groups if g.size > 1})
        cut = perf_counter()
        feeds = net.feeds()
        shapes = [v.shape for v in Session(smaller).run(feeds).values()]
        same = shapes == [v.shape for v in Session(model).run(feeds).values()]
    except OnnxpressError as error:
        return Halved(trouble=_short(error))
    # Counted from the model that is cut: what only makes other constants is folded in it.
    reached, left = _compared(_of_model(channels.model), _of_model(smaller))
    trouble = "" if same else "other output shapes"
    return Halved(reached, left, found - started, cut - found, trouble)


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in what runs longer; in the main thread of a Unix process only."""

    def ring(_signal: int, _frame: object) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def heads(module: Any, inputs: tuple[Any, ...]) -> list[Any]:
    """Return the layers whose outputs nothing but the network's outputs shows.

    Torch-Pruning can't tell them; its users name them.  They are the last layer that runs, and
    every layer in a list that is called heads.
    """
    ran: list[Any] = []
    leaves = [m for m in module.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)]
    hooks = [m.register_forward_hook(lambda m, _inputs, _output: ran.append(m)) for m in leaves]
    with torch.no_grad():
        module(*inputs)
    for hook in hooks:
        hook.remove()
    named = [m for name, m in module.named_modules() if name.startswith("heads.")]
    return [*named, *ran[-1:]]


def attention(module: Any) -> dict[Any, int]:
    """Return how many heads each projection of queries, keys and values has."""
    found: dict[Any, int] = {}
    for part in module.modules():
        count = getattr(part, "num_heads", None) or getattr(part, "num_attention_heads", None)
        if isinstance(count, int):
            names = ("qkv", "query", "key", "value", "q_proj", "k_proj", "v_proj")
            found |= {getattr(part, n): count for n in names if hasattr(part, n)}
    return {layer: n for layer, n in found.items() if isinstance(layer, torch.nn.Linear)}


def _tell_attention(module: Any, heads_of: Mapping[Any, int]) -> None:
    """Write the new width of heads into the modules that reshape by it, as its examples do."""
    for part in module.modules():
        qkv = getattr(part, "qkv", None)
        if qkv is not None and qkv in heads_of and hasattr(part, "head_dim"):
            part.num_heads = heads_of[qkv]
            part.head_dim = qkv.out_features // (3 * heads_of[qkv])
            part.attn_dim = part.num_heads * part.head_dim


def _weakest(group: Any, stored: Mapping[str, Any]) -> Any:
    scores = np.zeros(group.size)
    for member in group.members:
        array = stored.get(member.tensor)
        if array is None or array.dtype.kind != "f":
            continue
        others = tuple(a for a in range(array.ndim) if a != member.axis)
        norms, own = np.abs(array).sum(axis=others), member.channel >= 0
        np.add.at(scores, member.channel[own], norms[own])
    return np.argsort(scores, kind="stable")[: group.size // 2]


def _compared(before: Shapes, after: Shapes) -> tuple[float, float]:
    """Return the share of parameters in tensors that got smaller, and the share that is left."""

    def size(shapes: Shapes, names: set[str]) -> int:
        return sum(int(np.prod(shapes[n])) for n in names if n in shapes)

    every = set(before)
    changed = {name for name in every if before[name] != after.get(name)}
    total = size(before, every)
    return size(before, changed) / total, size(after, every) / total


def _of_module(module: Any) -> Shapes:
    return {name: tuple(p.shape) for name, p in module.named_parameters()}


def _of_model(model: Model) -> Shapes:
    weights = [w for layer in model.layers for w in layer.tensors if w.role not in STATISTICS]
    return {w.name: tuple(w.array().shape) for w in weights}


def _output_shapes(module: Any, inputs: tuple[Any, ...]) -> list[tuple[int, ...]]:
    with torch.no_grad():
        answer = module(*inputs)
    return [tuple(v.shape) for v in (answer if isinstance(answer, tuple | list) else (answer,))]


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:60]
