"""Which stored tensors a pruning step works on, and why not on others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import onnx_ir as ir

from onnxpress.errors import OptionError
from onnxpress.graph.constants import FLOATS, type_name
from onnxpress.graph.layers import Layer
from onnxpress.graph.weights import Weight
from onnxpress.job import Job
from onnxpress.select import select

if TYPE_CHECKING:
    from onnxpress_pruning.pruning import Pruning
    from onnxpress_pruning.structures.structure import MaskStructure

_WEIGHTS: Final = frozenset({"weight", "recurrence"})
_BIASES: Final = frozenset({"bias", "peephole"})


@dataclass(frozen=True, slots=True)
class Target:
    """A stored tensor to prune, and the layer in whose name it is reported.

    Attributes:
        layer: The first chosen layer that reads it.
        weight: The tensor.
        sparsity: The share of its elements to be zero.
    """

    layer: Layer
    weight: Weight
    sparsity: float


def find_targets(
    layers: Sequence[Layer], step: Pruning, structure: MaskStructure, job: Job
) -> list[Target]:
    """Return what to prune, in the order of the graph, each tensor once.

    What was asked for and can't be pruned is declined.

    Raises:
        UnknownNameError: If a pattern matches no layer.
        OptionError: If no chosen tensor can have the structure.
    """
    kept = _kept_by_others(layers, step)
    shares = _shares(layers, step)
    seen: set[ir.Value] = set()
    targets: list[Target] = []
    misfits: list[str] = []
    for layer in select(layers, step.layers, step.exclude):
        if layer.normalizes and step.layers and not step.include_norm:
            job.decline(layer.name, "it is a normalisation; include_norm prunes those too")
        for weight in _asked(layer, step):
            target = Target(layer, weight, shares.get(layer.name, step.share))
            if weight.value in seen or target.sparsity == 0:
                continue
            seen.add(weight.value)
            if reason := refusal(weight) or kept.get(weight.value):
                job.decline(layer.name, reason)
            elif reason := structure.refusal(weight):
                misfits.append(reason)
                job.decline(layer.name, reason)
            else:
                targets.append(target)
    if misfits and (not targets or step.layers):
        raise OptionError(_no_fit(misfits, step))
    if not targets and not job.declined:
        job.decline("model", "no chosen layer has weights of which any share is to be zero")
    return targets


def _no_fit(misfits: Sequence[str], step: Pruning) -> str:
    more = f" (and {len(misfits) - 1} more)" if len(misfits) > 1 else ""
    which = "a chosen layer" if step.layers else "every layer"
    return f"structure={step.structure} does not fit {which}: {misfits[0]}{more}"


def refusal(weight: Weight) -> str | None:
    """Say why no element of a tensor can be set to zero, None if it can."""
    if weight.dtype in FLOATS:
        return None
    kind = type_name(weight.dtype)
    return f"{weight.name} is stored as {kind}, not as floating point: prune before quantizing"


def decline_overridable(graph: ir.Graph, job: Job) -> None:
    """Decline what looks like weights but may be given anew by every caller."""
    for value in graph.inputs:
        if value.is_initializer() and value.shape is not None and len(value.shape) > 1:
            job.decline(
                value.name or "",
                "it is also an input of the model, which callers may override; "
                "freeze makes it a constant",
            )


def _asked(layer: Layer, step: Pruning) -> Iterator[Weight]:
    """Yield the tensors of a layer that the options ask for."""
    if layer.normalizes and not step.include_norm:
        return
    main = {"scale"} if layer.normalizes else _WEIGHTS
    roles = main | _BIASES if step.include_bias else main
    yield from (weight for weight in layer.tensors if weight.role in roles)


def _kept_by_others(layers: Sequence[Layer], step: Pruning) -> Mapping[ir.Value, str]:
    """Return the tensors that must not change for the sake of a layer, with the reason."""
    excluded = {layer.name for layer in select(layers, step.exclude)} if step.exclude else set()
    kept: dict[ir.Value, str] = {}
    for layer in layers:
        spared = layer.name in excluded
        asked = set() if spared else {weight.value for weight in _asked(layer, step)}
        for weight in layer.tensors:
            if weight.value not in asked:
                use = f"{weight.name} is also the {weight.role} of {layer.name}"
                kept[weight.value] = f"{use}, which is {'excluded' if spared else 'not pruned'}"
    return kept


def _shares(layers: Sequence[Layer], step: Pruning) -> dict[str, float]:
    """Return the share for each layer that has one of its own; the first pattern counts."""
    shares: dict[str, float] = {}
    for pattern, share in step.sparsities.items():
        for layer in select(layers, [pattern]):
            shares.setdefault(layer.name, share)
    return shares
