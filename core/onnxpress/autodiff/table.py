"""The table ``gradient``: how to differentiate each operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from onnxpress.rules import RuleTable

if TYPE_CHECKING:
    from onnxpress.autodiff.site import Site
    from onnxpress.autodiff.tensor import Tensor

Gradients: TypeAlias = "Tensor | Sequence[Tensor | None] | None"
"""One gradient per input of the node, None for those that have none; a lone tensor is the
gradient of the first input.  What follows the last one may be left out."""

GradientRule: TypeAlias = "Callable[[Site], Gradients]"
"""Given a node and the gradients of its outputs, emits nodes that compute those of its inputs."""

GRADIENTS: Final[RuleTable[GradientRule]] = RuleTable("gradient")
