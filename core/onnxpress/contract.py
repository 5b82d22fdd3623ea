"""The classes that plugins subclass and the records they return.

This page and `onnxpress.hooks` are the whole contract.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from onnxpress.autodiff.tensor import Tensor
    from onnxpress.data.batch import Array, Feeds
    from onnxpress.graph.model import Model
    from onnxpress.job import Job
    from onnxpress.training.goal import Goal, LabelGoal


class Transform(BaseModel, ABC):
    """One step of a recipe: Model → Model.

    A concrete transform declares its options as fields (pydantic checks them;
    ``Field(description=…)`` becomes the help of the command line), says in its
    docstring what it does, and has one method, `apply`.  It holds no state.

    Attributes:
        name: What recipes call it, in kebab-case: ``magnitude-pruning``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]

    @abstractmethod
    def apply(self, model: Model, job: Job) -> Model:
        """Return the new model; the one given stays as it was.

        What is left alone goes to `Job.decline` with the reason; what was done, to
        `Job.change`.
        """


class Objective(BaseModel, ABC):
    """A loss that training minimises, or a penalty: a small graph that ends in one number.

    A concrete objective declares its options as fields, like a `Transform`, and emits nodes
    in `build`.  It holds no state.  Several are summed, each times its `weight`.

    Attributes:
        name: What recipes call it, in kebab-case: ``cross-entropy``.
        penalty: Whether it looks at parameters only, and needs no labels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    penalty: ClassVar[bool] = False

    weight: float = Field(default=1.0, description="what the loss is multiplied by in the sum")

    @abstractmethod
    def build(self, goal: Goal) -> Tensor:
        """Emit the loss, a float without axes, averaged over the samples of a batch.

        Args:
            goal: The model's tensors, the labels, and what adds nodes.

        Raises:
            UsageError: If the model has no tensor to which it could apply; says what to do.
        """

    def read_labels(self, labels: Array, goal: LabelGoal, where: str) -> Array:
        """Check the labels of a batch, and return them in the type that `build` expects.

        Runs for every batch, in numpy, before the step; by default labels stay as they are.

        Args:
            labels: As the data gives them.
            goal: What is known of the tensor that the labels are compared with.
            where: Which batch this is, for errors.

        Raises:
            DataError: If a label is out of range, or labels have the wrong shape.
        """
        del goal, where
        return labels


class Importer(ABC):
    """A way from a foreign source to a `Model`.

    Attributes:
        name: How ``--importer`` calls it.
    """

    name: ClassVar[str]

    @abstractmethod
    def accepts(self, source: object) -> bool:
        """Say whether `load` could read this; import no framework to find out."""

    @abstractmethod
    def load(self, source: object, example_inputs: Sequence[Array] | Feeds | None = None) -> Model:
        """Turn `source` into a model.

        Args:
            source: A path or an object that this importer accepts.
            example_inputs: Arrays to trace with, for sources that have no graph yet.

        Raises:
            ModelError: If the source can't be used; says what is wrong and where.
        """


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a runtime can be used here; if not, why, and what to do about it."""

    usable: bool
    reason: str = ""


class Executable(ABC):
    """A model that is ready to run."""

    @abstractmethod
    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        """Run once, wait for the result, and return every output by name."""

    def close(self) -> None:  # noqa: B027  # most have nothing to give back
        """Give back what the runtime holds."""

    @property
    def details(self) -> Mapping[str, Any]:
        """What the report should say besides: placement, kernels, versions."""
        return {}


class Runtime(ABC):
    """A place to run a model.  It prepares models; the core times them, all alike.

    Offer it even where it can't be used: `probe` then says why not.  It must be
    importable as ``module:Class`` and take no arguments, because every model is
    measured in a process of its own.  Its constructor imports what running needs, so
    that load times are those of the model.

    Attributes:
        name: What ``--runtime`` calls it.
        timing: Whether its wall time means anything to a user.
    """

    name: ClassVar[str]
    timing: ClassVar[Literal["real", "emulated", "none"]] = "real"

    @classmethod
    @abstractmethod
    def probe(cls) -> Availability:
        """Say whether this runtime works on this machine; cheap, never raises."""

    @abstractmethod
    def prepare(self, path: Path, threads: int) -> Executable:
        """Load the ``.onnx`` file at `path`, to run on `threads` threads."""


@dataclass(frozen=True, slots=True)
class Declined:
    """Something a step was asked to do and did not, and why."""

    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class Changed:
    """Something a step did, with figures."""

    subject: str
    details: Mapping[str, Any] = field(default_factory=dict)
