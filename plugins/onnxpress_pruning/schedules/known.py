"""Every schedule by name.  To add one, write its class, and name it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator

from onnxpress.recipe.chosen import by_name, choose
from onnxpress_pruning.schedules.gradual import Agp, Constant, Cubic, Polynomial
from onnxpress_pruning.schedules.lottery import Lottery
from onnxpress_pruning.schedules.movement import Movement
from onnxpress_pruning.schedules.rigl import RigL
from onnxpress_pruning.schedules.rounds import Iterative, OneShot
from onnxpress_pruning.schedules.schedule import PruningSchedule
from onnxpress_pruning.schedules.sparsity_learning import SparsityLearning
from onnxpress_pruning.schedules.surgery import Surgery

SCHEDULES: Final[Mapping[str, type[PruningSchedule]]] = by_name(
    OneShot,
    Iterative,
    Constant,
    Polynomial,
    Agp,
    Cubic,
    Surgery,
    Movement,
    RigL,
    Lottery,
    SparsityLearning,
)


def make_schedule(written: object) -> PruningSchedule:
    """Return the schedule meant: ``polynomial:initial=0.5``, a table with ``use``, or the object.

    Raises:
        UnknownNameError: If there is none of that name; names the nearest.
        OptionError: If an option does not take its value.
    """
    return choose(PruningSchedule, SCHEDULES, "schedule", written)  # type: ignore[type-abstract]


ScheduleChoice: TypeAlias = Annotated[Any, BeforeValidator(make_schedule)]
