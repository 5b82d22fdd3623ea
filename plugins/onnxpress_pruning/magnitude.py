"""The step ``magnitude-pruning``: its options, and who does the work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

from pydantic import Field, field_serializer, model_validator

from onnxpress.contract import Transform
from onnxpress.select import Patterns
from onnxpress_pruning.options import Share, Shares

if TYPE_CHECKING:
    from typing import Self

    from onnxpress.graph.edit import Editor
    from onnxpress.graph.model import Model
    from onnxpress.job import Job

_LEFT_TO_MASKS = ("sparsity", "scope", "layers", "exclude", "sparsities")


@final
class MagnitudePruning(Transform):
    """Set the weights of smallest magnitude to zero (unstructured pruning).

    The number of zeros is exact: `sparsity` times the number of weights, half to even,
    but every tensor keeps at least one weight.  Zeros that are there already count, so
    that a second run changes nothing.  Of equal weights, the first in memory goes first.

    Pruned are the weights of Conv, ConvTranspose, Gemm, MatMul, LSTM, GRU, RNN and of
    embeddings (Gather), wherever they are stored, each tensor once.  Biases and
    normalisations stay as they are unless asked for; weights stored as integers stay too.

    The graph keeps its shape: zeros alone make a file smaller only when it is zipped, and
    no runtime faster that computes with dense matrices.
    """

    name: ClassVar[str] = "magnitude-pruning"

    sparsity: Share = Field(default=0.5, description="share of the weights to be zero")
    scope: Literal["layer", "global"] = Field(
        default="layer",
        description="whether the share holds for each tensor, or for all of them together",
    )
    layers: Patterns = Field(
        default=(), description="only these layers: names, globs, re:REGEX, op:TYPE"
    )
    exclude: Patterns = Field(default=(), description="leave these layers as they are")
    sparsities: Shares = Field(
        default_factory=dict,
        description="other shares for some layers: PATTERN=SHARE; the first that fits counts",
    )
    include_bias: bool = Field(
        default=False, description="prune biases as well, and the peepholes of an LSTM"
    )
    include_norm: bool = Field(
        default=False, description="prune the scales of normalisations as well"
    )
    freeze: bool = Field(
        default=False,
        description="drop graph inputs that only override stored weights (old exporters list all)",
    )
    masks: Path | Mapping[str, Any] | None = Field(
        default=None,
        description="prune just by these masks, 1 = keep: a .npz, by name of tensor or layer",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        changed = self.model_dump(exclude_defaults=True, include=set(_LEFT_TO_MASKS))
        if self.masks is not None and changed:
            raise ValueError(f"masks decide alone what is pruned; leave out {', '.join(changed)}")
        if self.scope == "global" and self.sparsities:
            raise ValueError("sparsities need scope=layer; scope=global ranks all weights together")
        return self

    @field_serializer("masks", when_used="json")
    def _masks_in_words(self, masks: Path | Mapping[str, Any] | None) -> str | None:
        """Name arrays instead of writing them out; a recipe needs a file for them."""
        if isinstance(masks, Mapping):
            return f"arrays: {', '.join(masks)}"
        return None if masks is None else str(masks)

    def apply(self, model: Model, job: Job) -> Model:
        from onnxpress.graph.pruned import record_pruned

        edit = model.edit()
        if self.freeze:
            edit.freeze()
        pruned = self._prune(edit, job)
        if pruned:
            record_pruned(edit.ir, pruned)
        return edit.done() if pruned or self.freeze else model

    def _prune(self, edit: Editor, job: Job) -> list[str]:
        from onnxpress_pruning.criteria import magnitude
        from onnxpress_pruning.masks import apply_masks, read_masks
        from onnxpress_pruning.targets import decline_overridable, find_targets
        from onnxpress_pruning.unstructured import prune_each, prune_together

        if self.masks is not None:
            return apply_masks(edit, read_masks(self.masks), job)
        decline_overridable(edit.graph, job)
        targets = find_targets(edit.layers, self, job)
        prune = prune_together if self.scope == "global" else prune_each
        return prune(edit, targets, magnitude, job)
