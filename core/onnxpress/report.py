"""`Report`: what was asked, done, declined, gained and lost."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from onnxpress.atomic import replacing
from onnxpress.contract import Changed, Declined
from onnxpress.errors import OnnxpressError, UsageError
from onnxpress.plain import plain

if TYPE_CHECKING:
    from rich.console import RenderableType

    from onnxpress.metrics.evaluation import Score

_SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a model is, and how good it is.

    Attributes:
        bytes_stored: Its size on disk.
        parameters: How many elements it stores.
        macs: Multiply-accumulates per inference, symbolic dimensions taken as 1.
        sparsity: The share of zeros in its weights.
        precision: The share of its weights by type.
        metric: How it scored; None if nothing was measured.
    """

    bytes_stored: int
    parameters: int
    macs: int
    sparsity: float
    precision: Mapping[str, float] = field(default_factory=dict)
    metric: Score | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            "bytes_stored": self.bytes_stored,
            "parameters": self.parameters,
            "macs": self.macs,
            "sparsity": self.sparsity,
            "precision": dict(self.precision),
            "metric": None if self.metric is None else self.metric._asdict(),
        }


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step was asked to do, did, and left alone.

    Attributes:
        name: Its name.
        options: All of its options, resolved.
        seconds: How long it took.
        changed: What it did.
        declined: What it left as it was, and why.
        summary: What it did in one line, if it said so.
        asked: The options that were given, much like a SPEC.
    """

    name: str
    options: Mapping[str, Any]
    seconds: float
    changed: Sequence[Changed]
    declined: Sequence[Declined]
    summary: str = ""
    asked: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            "name": self.name,
            "options": dict(self.options),
            "seconds": round(self.seconds, 3),
            "summary": self.summary,
            "changed": [{"subject": c.subject, "details": plain(c.details)} for c in self.changed],
            "declined": [{"subject": d.subject, "reason": d.reason} for d in self.declined],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a model.

    ``print(report)`` shows a table; `save` writes all of it.

    Attributes:
        model: What the original is called.
        before: The original.
        after: The result.
        steps: What was done, in order.
        recipe: How to do it again, with the keys of a recipe file.
        data: What steps calibrated on and what the metric was measured on, by name.
        environment: Versions and machine.
        warnings: What makes the figures say less than they seem to.
        notes: What was decided without being asked.
    """

    model: str
    before: Figures
    after: Figures
    steps: Sequence[StepReport]
    recipe: Mapping[str, Any]
    data: Mapping[str, str | None] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data, under the keys of ``compress --report x.json``."""
        return {
            "model": self.model,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "steps": [step.to_dict() for step in self.steps],
            "recipe": dict(self.recipe),
            "seed": self.recipe.get("seed", 0),
            "data": dict(self.data),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "environment": dict(self.environment),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report as JSON; either all of it or nothing.

        Raises:
            UsageError: If the path does not end in ``.json`` or can't be written.
            OnnxpressError: If writing fails.
        """
        check_report_path(target := Path(path))
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"
        try:
            with replacing(target) as file:
                file.write(text.encode())
        except OSError as error:
            raise OnnxpressError(f"can't write {target}: {error.strerror or error}") from error

    def __str__(self) -> str:
        from onnxpress.plain_text import plain_text
        from onnxpress.report_table import render

        return plain_text(render(self))

    def __rich__(self) -> RenderableType:
        from onnxpress.report_table import render

        return render(self)


def check_report_path(path: Path) -> None:
    """Refuse, before any work, a path to which no report can be written.

    Raises:
        UsageError: Saying why.
    """
    if path.suffix.lower() != _SUFFIX:
        raise UsageError(f"can't write the report {path}: only {_SUFFIX} is known for now")
    if path.is_dir():
        raise UsageError(f"can't write the report {path}: it is a folder")
    if not path.parent.is_dir():
        raise UsageError(f"can't write the report {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"can't write the report {path}: no permission to write there")
