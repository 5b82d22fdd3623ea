"""`initialize`: new random weights for every layer of a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from onnxpress.graph.constants import FLOATS
from onnxpress.recipe.chosen import Written
from onnxpress.training.initializers import (
    Fan,
    Initializer,
    Orthogonal,
    TruncatedNormal,
    Xavier,
    generator,
    make_initializer,
)

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.layers import Layer
    from onnxpress.graph.model import Model
    from onnxpress.graph.weights import Role, Weight

_FIXED: Final[Mapping[Role, float]] = {
    "bias": 0, "peephole": 0, "mean": 0, "scale": 1, "variance": 1,
}  # fmt: skip
_GATES: Final[Mapping[str, int]] = {"LSTM": 4, "GRU": 3, "RNN": 1}
_TABLE: Final = TruncatedNormal(deviation=0.02)  # as BERT, GPT-2 and ViT draw embeddings
_PER_GATE: Final[Mapping[str, Initializer]] = {"weight": Xavier(), "recurrence": Orthogonal()}


def initialize(model: Model, seed: int = 0, scheme: Written[Initializer] = "kaiming") -> Model:
    """Return the model with new weights in every layer, as if it had never been trained.

    Weights of convolutions and matrix products are drawn by `scheme`; embeddings are normal
    with deviation 0.02; recurrent layers have Xavier weights and orthogonal recurrences, gate
    by gate.  Biases are 0, the scales of normalisations 1, their running means 0 and variances
    1.  A tensor that several layers share is drawn once, for the first of them.

    What belongs to no layer stays: constants, tensors stored as integers, and parameters that
    are only added or multiplied, such as position embeddings.

    Args:
        model: The model; it stays as it is.
        seed: Where all randomness comes from.  What a tensor gets depends on the seed and on
            its name, not on other tensors.
        scheme: How weights are drawn: ``"kaiming:fan=out"``, ``"xavier"``, ….
    """
    scheme = make_initializer(scheme)
    edit = model.edit()
    seen: set[str] = set()
    for layer in edit.layers:
        for weight in layer.tensors:
            if weight.name not in seen and weight.dtype in FLOATS:
                seen.add(weight.name)
                values = initial(layer, weight, scheme, generator(seed, weight.name))
                edit.set_weight(weight, values.astype(weight.dtype.numpy()))
    return edit.done()


def initial(layer: Layer, weight: Weight, scheme: Initializer, rng: np.random.Generator) -> Array:
    """Return new values for one tensor of a layer."""
    if weight.role in _FIXED:
        return np.full(weight.shape, float(_FIXED[weight.role]))
    if layer.op_type in _GATES:
        return _gates(weight, _PER_GATE[weight.role], _GATES[layer.op_type], rng)
    if layer.op_type == "Gather":
        return _TABLE.draw(weight.shape, Fan(1, 1), rng)
    return _weights(layer, weight, scheme, rng)


def fan_of(layer: Layer, weight: Weight) -> Fan:
    """Return the fans of a kernel or matrix.

    As in PyTorch, the channels that come out of a grouped convolution are those of all groups.
    """
    shape, into, out = weight.shape, weight.input_axis, weight.output_axis
    inputs = 1 if into is None else shape[into]
    outputs = 1 if out is None else shape[out]
    rest = weight.size // max(inputs * outputs, 1)
    if layer.op_type == "ConvTranspose":  # stored with the input channels of all groups
        inputs //= layer.groups
    return Fan(inputs * rest, outputs * rest)


def _weights(layer: Layer, weight: Weight, scheme: Initializer, rng: np.random.Generator) -> Array:
    """Draw a kernel or matrix with its output channels first, and put them where they belong."""
    axis = weight.output_axis
    if axis is None:
        return scheme.draw((1, weight.size), fan_of(layer, weight), rng).reshape(weight.shape)
    first = (weight.shape[axis], *weight.shape[:axis], *weight.shape[axis + 1 :])
    return np.moveaxis(scheme.draw(first, fan_of(layer, weight), rng), 0, axis)


def _gates(weight: Weight, scheme: Initializer, gates: int, rng: np.random.Generator) -> Array:
    """Draw a matrix (hidden, inputs) for every direction and gate, and put them in place."""
    out, into = weight.output_axis, weight.input_axis
    if out is None or into is None or len(weight.shape) != len(_DIRECTION_OUT_IN):
        fan = Fan(math.prod(weight.shape[1:]), weight.shape[0])
        return scheme.draw(weight.shape, fan, rng)
    directions = weight.size // (weight.shape[out] * weight.shape[into])
    hidden, inputs = weight.shape[out] // gates, weight.shape[into]
    blocks = [
        scheme.draw((hidden, inputs), Fan(inputs, hidden), rng) for _ in range(directions * gates)
    ]
    whole = np.stack(blocks).reshape(directions, gates * hidden, inputs)
    return np.moveaxis(whole, (1, 2), (out, into))


_DIRECTION_OUT_IN: Final = (0, 1, 2)  # the axes of the weights of recurrent layers
