"""One step of an LSTM, GRU or RNN with everything that the standard allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from onnxpress.autodiff.site import Site
from onnxpress.autodiff.tensor import Tensor
from onnxpress.errors import ModelError

Activation: TypeAlias = Callable[[Tensor], Tensor]

# The defaults of alpha and beta, None where there is none: ONNX Runtime takes 0 then, which
# makes a constant of Affine and ScaledTanh, and is not what the standard has for ThresholdedRelu.
_NUMBERS: Final[Mapping[str, Mapping[str, float | None]]] = {
    "Affine": {"alpha": None, "beta": None},
    "Elu": {"alpha": 1.0},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "LeakyRelu": {"alpha": 0.01},
    "Relu": {},
    "ScaledTanh": {"alpha": None, "beta": None},
    "Sigmoid": {},
    "Softplus": {},
    "Softsign": {},
    "Tanh": {},
    "ThresholdedRelu": {"alpha": None},
}


@dataclass(frozen=True)
class Cell:
    """What a step reads besides the input and the state.

    Attributes:
        r: The weights of the state, transposed, (H, G).
        bias: The bias of the state, (G), if there is one.
        peepholes: The weights of the cells, for the gates i, o and f; empty if there are none.
        activations: What the node applies, in the order of its attribute.
        clip: Bounds what activations are applied to, 0 if nothing does.
    """

    r: Tensor
    bias: Tensor | None
    peepholes: Sequence[Tensor]
    activations: Sequence[Activation]
    clip: float

    def of_state(self, h: Tensor) -> Tensor:
        """Return what the state gives to the gates."""
        product = h @ self.r
        return product if self.bias is None else product + self.bias

    def gate(self, which: int, x: Tensor) -> Tensor:
        """Apply one of the activations of gates."""
        return self.activations[which](self._clipped(x))

    def peep(self, which: int, gate: Tensor, c: Tensor) -> Tensor:
        """Add what a gate sees of the cells."""
        return gate + c * self.peepholes[which] if self.peepholes else gate

    def _clipped(self, x: Tensor) -> Tensor:
        if not self.clip:
            return x
        op, dtype = x.op, x.dtype
        return op("Clip", x, op.constant(-self.clip, dtype), op.constant(self.clip, dtype))


def activations(at: Site, usual: Sequence[str], count: int) -> list[list[Activation]]:
    """Return the activations of every direction.

    Args:
        at: The node.
        usual: Those that a node has that names none, for one direction.
        count: The number of directions.

    Raises:
        ModelError: If the standard knows none of a name, or numbers are missing.
    """
    given = at.node.attributes.get("activations")
    names = [str(name) for name in given.as_strings()] if given else [*usual] * count
    numbers = {key: iter(_floats(at, f"activation_{key}")) for key in ("alpha", "beta")}
    found = [_activation(at, name, numbers) for name in names]
    return [found[len(usual) * i : len(usual) * (i + 1)] for i in range(count)]


def _floats(at: Site, name: str) -> Sequence[float]:
    given = at.node.attributes.get(name)
    return given.as_floats() if given else ()


def _activation(at: Site, given: str, numbers: Mapping[str, Iterator[float]]) -> Activation:
    """Return an activation; those that take numbers take the next ones that are given."""
    name = next((known for known in _NUMBERS if known.lower() == given.lower()), None)
    if name is None:
        raise ModelError(f"{_named(at)}: there is no activation {given!r} in the standard")
    own: dict[str, Any] = {}
    for key, default in _NUMBERS[name].items():
        own[key] = next(numbers[key], default)
        if own[key] is None:
            raise ModelError(f"{_named(at)}: {name} has no default for activation_{key}; give it")
    if name == "Affine":
        return lambda x: x * own["alpha"] + own["beta"]
    if name == "ScaledTanh":
        return lambda x: x.op("Tanh", x * own["beta"]) * own["alpha"]
    return lambda x: x.op(name, x, **own)


def _named(at: Site) -> str:
    return f"{at.node.op_type} {at.node.name or at.node.outputs[0].name!r}"
