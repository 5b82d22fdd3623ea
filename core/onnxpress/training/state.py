"""What a training step carries from one step to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnxpress.data.batch import Array


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """One tensor that every step reads and replaces.

    Attributes:
        given: The name of the step's input that takes it.
        result: The name of the step's output that holds what it becomes.
        initial: Makes what it is before the first step; a new array every time.
    """

    given: str
    result: str
    initial: Callable[[], Array]
