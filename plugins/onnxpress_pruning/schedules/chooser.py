"""Which weights go, of a model in training: what a schedule asks again and again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from onnxpress.graph.pruned import masks_of, record_pruned
from onnxpress_pruning.budgets import share_within
from onnxpress_pruning.masking import find_what, subject_of

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress.graph.model import Model
    from onnxpress.graph.weights import Weight
    from onnxpress.job import Job
    from onnxpress.training.fit import Fitted
    from onnxpress_pruning.criteria.criterion import ElementScores
    from onnxpress_pruning.pruning import Pruning
    from onnxpress_pruning.structures.structure import MaskStructure
    from onnxpress_pruning.targets import Target


@dataclass(frozen=True)
class Chooser:
    """The structure and the criterion of a step, and the tensors that it prunes.

    Attributes:
        step: The step.
        model: The model before training, which can be trained.
        job: Data, seed, and where to report.
        structure: What goes together.
        targets: The tensors, with the share of each that is wanted in the end.
    """

    step: Pruning
    model: Model
    job: Job
    structure: MaskStructure
    targets: tuple[Target, ...]

    @classmethod
    def of(cls, step: Pruning, model: Model, job: Job) -> Chooser:
        """Find the targets of a step; a budget becomes the share that keeps it now."""
        structure, targets = find_what(step, model, model.ir.graph, job)
        if targets and (step.parameters is not None or step.bytes is not None):
            scores = step.criterion.elements(subject_of(step, model, targets, job))
            share = share_within(step, model, structure, targets, scores)
            assert share is not None  # there is a budget
            targets = [replace(target, sparsity=share) for target in targets]
        return cls(step, model, job, structure, tuple(targets))

    def present(self) -> dict[str, Array]:
        """Return the masks that the model has: what an earlier step pruned is not kept."""
        pruned = masks_of(self.model)
        weights = [target.weight for target in self.targets]
        return {w.name: pruned.get(w.name, np.ones(w.shape, bool)) for w in weights}

    def kept(
        self,
        model: Model,
        names: Collection[str],
        share: Callable[[float], float],
        scores: ElementScores | None = None,
    ) -> dict[str, Array]:
        """Return masks: true where a weight is kept.

        Args:
            model: The model as it is now.
            names: The tensors to choose masks for.
            share: From the share of a tensor in the end to that of now.
            scores: What scores its weights; by default the criterion of the step.
        """
        now = weights_of(model)
        targets = [
            replace(t, weight=now[t.weight.name], sparsity=share(t.sparsity))
            for t in self.targets
            if t.weight.name in names
        ]
        if scores is None:
            subject = subject_of(self.step, model, targets, self.job)
            scores = self.step.criterion.elements(subject)
        goes = self.structure.masks(targets, scores)
        pairs = zip(targets, goes, strict=True)
        return {t.weight.name: ~goes.reshape(t.weight.shape) for t, goes in pairs}

    def result(self, fitted: Fitted) -> Model:
        """Return the trained model with a record of what is pruned, and report it."""
        edit = fitted.model.edit()
        after = weights_of(fitted.model)
        trained = [t for t in self.targets if t.weight.name in fitted.trained]
        record_pruned(edit.ir, [target.weight.name for target in trained])
        zeros = sum(self._report(target, after[target.weight.name]) for target in trained)
        for target in self.targets:
            if target not in trained:
                reason = f"{target.weight.name} is not trained, so this schedule leaves it"
                self.job.decline(target.layer.name, reason)
        size = sum(target.weight.size for target in trained)
        done = f"{zeros / size:.1%} of {size:,} weights zero" if size else "nothing pruned"
        self.job.summary = f"{done}, {self.job.summary}"
        return edit.done()

    def _report(self, target: Target, weight: Weight) -> int:
        size = weight.size
        zeros = size - int(np.count_nonzero(weight.array()))
        figures = {"sparsity": zeros / size, "zeros": zeros, "of": size}
        self.job.change(target.layer.name, weight=weight.name, **figures)
        return zeros


def weights_of(model: Model) -> dict[str, Weight]:
    """Return everything that layers store, by name."""
    return {w.name: w for layer in reversed(model.layers) for w in layer.tensors}
