"""Layer after layer, each fed by what is pruned already, until all give what they gave before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from onnxpress.calibration.kept import kept_outputs
from onnxpress.graph.constants import FLOATS
from onnxpress.graph.pruned import pruned_names
from onnxpress_pruning.reconstruction.choices import Given
from onnxpress_pruning.reconstruction.flow import Flow
from onnxpress_pruning.reconstruction.moments import second_moments
from onnxpress_pruning.reconstruction.product import find_product
from onnxpress_pruning.reconstruction.solve import DAMP, error, set_up, solve

if TYPE_CHECKING:
    import onnx_ir as ir

    from onnxpress.calibration.kept import Axes, Flags
    from onnxpress.graph.edit import Editor
    from onnxpress.graph.layers import Layer
    from onnxpress.graph.model import Model
    from onnxpress.graph.weights import Weight
    from onnxpress.job import Job
    from onnxpress_pruning.reconstruction.choices import Choice, Matrix
    from onnxpress_pruning.reconstruction.moments import Moments
    from onnxpress_pruning.reconstruction.product import Product

Choose: TypeAlias = "Callable[[Product], Choice]"


@dataclass(frozen=True, slots=True)
class Site:
    """A layer to rebuild.

    Attributes:
        now: The layer in the model as it is.
        before: The layer in the original.
        rows: Which of its output channels in the original are left; None for all.
        choose: Gives what goes.
    """

    now: Product
    before: Product
    rows: Flags | None
    choose: Choose

    @property
    def old_weights(self) -> Matrix:
        """W of the original, of the outputs that are left."""
        matrix = self.before.matrix(self.before.weight.array()).astype(np.float64)
        return matrix if self.rows is None else matrix[:, self.rows]


def rebuild(
    model: Model,
    original: Model,
    choices: Mapping[str, Choose],
    job: Job,
    kept: Axes | None = None,
    *,
    prunes: bool = True,
    damp: float = DAMP,
) -> Model:
    """Prune layers one after the other; the weights that stay make up for those that go.

    Every layer gets the weights with which, fed by the layers before it as they are now, it
    gives in the least squares what it gave in the original.  A bias of its own is part of that.

    Args:
        model: The model as it is: the original, or one of which weights were set to zero or
            channels were cut.  Zeros stay.
        original: The model as it was, with the same names.
        choices: What goes of a stored tensor, by its name.
        job: Data to calibrate on; told of what changed and what did not.
        kept: What a cut left of tensors: ``kept_positions(channels.groups, removed)``.
        prunes: Whether reports say how many zeros there are, besides the error that is left.
        damp: As for `set_up`.

    Raises:
        UsageError: If there is no data.
        DataError: If it is empty, or a layer is fed NaN or infinite values.
    """
    data = job.require_data("reconstruction")
    sites = _sites(model, original, choices, kept or {}, job)
    now, before = Flow(data, job), Flow(data, job)
    current = model
    for (source, source_before), stage in groupby(sites, lambda s: (s.now.source, s.before.source)):
        group = list(stage)
        old = None if current is original else before.arrays(original, source_before)
        new = now.arrays(current, source)
        moments = second_moments([(s.now, s.before) for s in group], new, old, model.opset)
        edit = current.edit()
        layers = {layer.name: layer for layer in edit.layers}
        for site, parts in zip(group, moments, strict=True):
            layer = layers[site.now.layer.name]
            left = _rebuild(edit, layer, site, parts, damp)
            zeros = _zeros(layer) if prunes else {}
            job.change(layer.name, weight=layer.weight.name, **zeros, output_error=left)
        current = edit.done()
    return current


def _rebuild(
    edit: Editor, layer: Layer, site: Site, parts: Sequence[Moments], damp: float
) -> float:
    """Solve for the weights of one layer; return which share of its outputs is lost, squared."""
    array = layer.weight.array()
    weights, old = site.now.matrix(array).astype(np.float64), site.old_weights
    zero, choice, bias = weights == 0, site.choose(site.now), _bias(layer, site.now, edit)
    shift = np.zeros(old.shape[:2])
    off = energy = 0.0
    for part in parts:
        here = weights[..., part.columns]
        was = old[..., part.columns_before]
        problem = set_up(here, was, part.centred() if bias else part, damp)
        found, _ = solve(problem, choice.within(part.columns), zero[..., part.columns])
        shift += _mean(was, part.sum_before, part) - _mean(found, part.sum_now, part)
        off, energy = off + error(problem, found), energy + error(problem, np.zeros_like(found))
        weights[..., part.columns] = found
    stored = site.now.stored(weights, array)
    edit.set_weight(layer.weight, stored)
    if bias:
        _shift_bias(edit, bias, site, shift)
    return off / energy if energy else 0.0


def _zeros(layer: Layer) -> dict[str, float]:
    """Return what a report says of the zeros of a tensor."""
    array = layer.weight.array()
    zeros = array.size - int(np.count_nonzero(array))
    return {"sparsity": zeros / array.size, "zeros": zeros, "of": array.size}


def _mean(weights: Matrix, sums: Matrix, part: Moments) -> Matrix:
    """Return the mean of each output, of shape (groups, rows)."""
    return np.asarray((weights @ sums[..., None])[..., 0] / max(part.samples, 1))


def _shift_bias(edit: Editor, bias: Weight, site: Site, shift: Matrix) -> None:
    """Let the mean outputs be those of the original."""
    old = site.before.layer.bias or site.before.layer.added
    before = bias.array() if old is None else old.array()
    flat = before.reshape(-1).astype(np.float64)
    flat = flat if site.rows is None else flat[site.rows]
    array = bias.array()
    edit.set_weight(bias, (flat + shift.reshape(-1)).astype(array.dtype).reshape(array.shape))


def _bias(layer: Layer, product: Product, edit: Editor) -> Weight | None:
    """Return the bias that may be shifted: one number for each output, of this layer alone."""
    bias = layer.bias or layer.added
    if (
        bias is None
        or bias.dtype not in FLOATS
        or bias.path
        or _readers(edit.layers, bias.value) > 1
    ):
        return None
    outputs = product.places.shape[0] * product.places.shape[1]
    scaled = any(layer.node.attributes.get_float(n, 1.0) != 1 for n in ("alpha", "beta"))
    pruned = bias.name in pruned_names(edit.ir)
    return None if scaled or pruned or bias.size != outputs else bias


def _readers(layers: Sequence[Layer], value: ir.Value) -> int:
    return sum(weight.value is value for layer in layers for weight in layer.tensors)


def _sites(
    model: Model, original: Model, choices: Mapping[str, Choose], kept: Axes, job: Job
) -> list[Site]:
    """Return the layers that can be rebuilt, in the order of the graph; decline the others."""
    old = {layer.name: layer for layer in original.layers}
    sites: list[Site] = []
    for layer in model.layers:
        choose = choices.get(layer.weight.name)
        if choose is None or layer.normalizes:
            continue
        site = _site(model, original, layer, old.get(layer.name), choose, kept)
        if isinstance(site, Site):
            sites.append(site)
        else:
            job.decline(layer.name, f"its weights are not reconstructed: {site}")
    return sites


def _site(
    model: Model, original: Model, layer: Layer, old: Layer | None, choose: Choose, kept: Axes
) -> Site | str:
    """Return what is needed to rebuild a layer, or why it can't be."""
    if (reason := rebuild_refusal(model, layer)) is not None:
        return reason
    now = find_product(layer, model.ir.graph)
    before = "the original has none" if old is None else find_product(old, original.ir.graph)
    if isinstance(now, str) or isinstance(before, str):
        return str(before if isinstance(before, str) else now)
    rows = kept_outputs(before.layer, kept)
    if rows is not None and (len(before.places) > 1 or rows.all()):
        rows = None
    left = before.places.shape[1] if rows is None else int(rows.sum())
    if (len(before.places), left) != now.places.shape[:2]:
        return "which of its outputs were which is not known"
    return Site(now, before, rows, choose)


def rebuild_refusal(model: Model, layer: Layer) -> str | None:
    """Say why the weights of a layer can't be rebuilt, None if they can."""
    product = find_product(layer, model.ir.graph)
    if isinstance(product, str):
        return product
    if _readers(model.layers, layer.weight.value) > 1:
        return f"several layers share {layer.weight.name}"
    return None


def reconstruct(
    pruned: Model, original: Model, names: Sequence[str], job: Job, kept: Axes | None = None
) -> Model:
    """Change the weights that were left so that layers give again what they gave.

    Works with any mask: a weight that is zero in `pruned` stays zero.

    Args:
        pruned: A model of which weights were set to zero, or channels were cut.
        original: The model as it was.
        names: The stored tensors whose weights may change.
        job: As for `rebuild`.
        kept: As for `rebuild`.
    """
    choices = dict.fromkeys(names, lambda _product: Given())
    return rebuild(pruned, original, choices, job, kept, prunes=False)
