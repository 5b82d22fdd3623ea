"""What the pruning steps share: their options, and who does the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from pydantic import Field, field_serializer, model_validator

from onnxpress.contract import Transform
from onnxpress.select import Patterns
from onnxpress.training.options import Training
from onnxpress_pruning.agreement import check_agreement
from onnxpress_pruning.options import Budget, Pattern, Share, Shares, Sizes
from onnxpress_pruning.recalibration import RECALIBRATE_HELP, Recalibration
from onnxpress_pruning.schedules.known import ScheduleChoice, make_schedule

if TYPE_CHECKING:
    from typing import Self

    from onnxpress.graph.model import Model
    from onnxpress.job import Job

Engine: TypeAlias = "Callable[[Pruning, Model, Job], Model]"


class Pruning(Transform):
    """The options of a pruning step.  A concrete one adds `criterion`, and says what it does."""

    criterion: Any
    structure: Literal["unstructured", "n:m", "block", "channel", "head", "depth"] = Field(
        default="unstructured",
        description="what goes together: single weights; all but N of every M in a row; blocks; "
        "or what is taken out: channel, head (of attention), depth (residual blocks)",
    )
    sparsity: Share = Field(
        default=0.5, description="share of the weights to be zero, or of the channels … to go"
    )
    ratio: Share | None = Field(default=None, description="another name for sparsity")
    scope: Literal["layer", "global"] = Field(
        default="layer",
        description="whether the share holds for each tensor, or for all of them together",
    )
    of: Literal["all", "remaining"] = Field(
        default="all",
        description="what the share is of: all weights, zeros that are there count; or those left",
    )
    at_most: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="the largest share of one tensor that may be zero, or of one layer that may go",
    )
    round_to: int = Field(
        default=8,
        ge=1,
        description="for structure=channel and head: layers keep a multiple of so many channels, "
        "as kernels like it; 1 keeps any number",
    )
    recalibrate: Recalibration | None = Field(
        default=None,
        description=f"{RECALIBRATE_HELP}; by default auto where parts are taken out, else none",
    )
    layers: Patterns = Field(
        default=(), description="only these layers: names, globs, re:REGEX, op:TYPE"
    )
    exclude: Patterns = Field(default=(), description="leave these layers as they are")
    sparsities: Shares = Field(
        default_factory=dict,
        description="other shares for some layers: PATTERN=SHARE; the first that fits counts",
    )
    parameters: Budget | None = Field(
        default=None,
        description="instead of a share: weights of the model that may be left, as a number "
        "or as a share of all",
    )
    bytes: Budget | None = Field(
        default=None,
        description="instead of a share: bytes that the weights may take once packed, as 25kB "
        "or as a share of now",
    )
    threshold: float | None = Field(
        default=None, ge=0, description="instead of a share: what scores no more than this goes"
    )
    sensitivity: float | None = Field(
        default=None,
        ge=0,
        description="instead of a share: the threshold of each tensor, as so many standard "
        "deviations of its weights",
    )
    macs: Budget | None = Field(
        default=None, description="instead of a share: multiply-accumulates that may be left"
    )
    pattern: Pattern = Field(
        default=(2, 4), description="for structure=n:m: N stay of every M, written N:M"
    )
    axis: Literal["input", "output"] | int = Field(
        default="input",
        description="for structure=n:m: along which channels M weights are taken in a row, or "
        "the number of an axis as stored",
    )
    block: Sizes = Field(
        default=(1, 4),
        description="for structure=block: size along output channels, input channels, and the "
        "other axes, as in 4x1 or 1x1x3x3; * is a whole axis",
    )
    pooling: Literal["mean", "max", "sum"] = Field(
        default="mean", description="for structure=block: how scores of weights make one"
    )
    include_bias: bool = Field(
        default=False, description="prune biases as well, and the peepholes of an LSTM"
    )
    include_norm: bool = Field(
        default=False, description="prune the scales of normalisations as well"
    )
    reconstruct: bool = Field(
        default=False,
        description="change the weights that stay so that every layer gives what it gave, in the "
        "least squares on the data; criterion=obs always does",
    )
    samples: int = Field(
        default=2048,
        gt=0,
        description="for reconstruct and criterion=obs: how many samples of the data to look at, "
        "in batches spread evenly",
    )
    freeze: bool = Field(
        default=False,
        description="drop graph inputs that only override stored weights (old exporters list all)",
    )
    masks: Path | Mapping[str, Any] | None = Field(
        default=None,
        description="prune just by these masks, 1 = keep: a .npz, by name of tensor or layer",
    )

    schedule: ScheduleChoice = Field(
        default_factory=lambda: make_schedule("one-shot"),
        description="when how much is pruned: one-shot; with a train block also iterative, "
        "constant, polynomial, agp, cubic, surgery, movement, rigl, lottery, sparsity-learning, "
        "with options as in polynomial:initial=0.5,end=1000",
    )
    train: Training | None = Field(
        default=None, description="how to train between pruning and after it; by default not"
    )

    @property
    def share(self) -> float:
        """The share to be zero, however it is called."""
        return self.sparsity if self.ratio is None else self.ratio

    @property
    def together(self) -> bool:
        """Whether all tensors are ranked as one."""
        return self.scope == "global" or bool(self.criterion.always_global)

    @property
    def objective_written(self) -> tuple[Any, ...]:
        """What gradients are of, as for `Subject.objective`."""
        return () if self.train is None else self.train.objective

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        check_agreement(self)
        self.schedule.check(self)
        return self

    @field_serializer("masks", when_used="json")
    def _masks_in_words(self, masks: Path | Mapping[str, Any] | None) -> str | None:
        """Name arrays instead of writing them out; a recipe needs a file for them."""
        if isinstance(masks, Mapping):
            return f"arrays: {', '.join(masks)}"
        return None if masks is None else str(masks)

    def apply(self, model: Model, job: Job) -> Model:
        from onnxpress.graph.edit import frozen

        given = frozen(model) if self.freeze else model
        pruned: Model = self.schedule.run(self, given, job)
        return pruned

    def prune(self, model: Model, job: Job) -> Model:
        """Prune once, whatever the schedule; what schedules call."""
        return ENGINES[self.structure](self, model, job)


def _by_masks(step: Pruning, model: Model, job: Job) -> Model:
    from onnxpress_pruning.masking import prune_by_masks

    return prune_by_masks(step, model, job)


def _channels(step: Pruning, model: Model, job: Job) -> Model:
    from onnxpress_pruning.removal.channels import prune_channels

    return prune_channels(step, model, job)


def _depth(step: Pruning, model: Model, job: Job) -> Model:
    from onnxpress_pruning.removal.depth import prune_depth

    return prune_depth(step, model, job)


ENGINES: Final[Mapping[str, Engine]] = {
    "unstructured": _by_masks,
    "n:m": _by_masks,
    "block": _by_masks,
    "channel": _channels,
    "head": _channels,
    "depth": _depth,
}
"""What does the work for each structure.  To add a structure, name it here and in `Pruning`."""
