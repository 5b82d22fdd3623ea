"""`Recipe`: everything that decides a run, as one value."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from onnxpress.contract import Transform
from onnxpress.errors import OptionError, UnknownNameError, UsageError, noting, suggestion
from onnxpress.plugins import Plugins
from onnxpress.recipe.files import Written, read_file
from onnxpress.recipe.options import kebab
from onnxpress.recipe.steps import Step, make_step, to_table

Steps: TypeAlias = Step | Sequence[Step]

_KEYS: Final = ("steps", "data", "validation", "metric", "seed", "max-drop")


@dataclass(frozen=True, slots=True)
class Recipe:
    """The steps of a run, and what they are run and judged on.

    Attributes:
        steps: What to do, in order.
        data: What steps calibrate and train on, in any form of `onnxpress.data.open_data`.
        validation: What the metric is measured on; never mixed with `data`.
        metric: How to score, in any form of `onnxpress.metrics.open_metric`.
        seed: Where all randomness comes from.
        max_drop: By how much the metric may get worse, in units of the metric: 0.01 of
            top-1 is one percentage point.
    """

    steps: tuple[Transform, ...] = ()
    data: object = None
    validation: object = None
    metric: object = None
    seed: int = 0
    max_drop: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            raise OptionError(f"seed is {self.seed!r}; it must be a whole number of at least 0")
        if self.max_drop is not None and not _is_drop(self.max_drop):
            raise OptionError(
                f"max-drop is {self.max_drop!r}; it must be a number of at least 0, such as 0.01"
            )

    @classmethod
    def read(cls, path: str | os.PathLike[str], plugins: Plugins) -> Recipe:
        """Read a ``.toml``, ``.yaml`` or ``.yml`` file, or the ``.json`` report of a run.

        Raises:
            UsageError: If it can't be read, or something in it is wrong; says on which line.
        """
        return _from_written(read_file(Path(path)), plugins)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], plugins: Plugins) -> Recipe:
        """Make a recipe of a table with the keys of a recipe file.

        Raises:
            UsageError: If something in it is wrong.
        """
        return _from_written(Written(table), plugins)

    def to_dict(self) -> dict[str, Any]:
        """Return the table of which `from_dict` makes this recipe again.

        Data that only exists in memory can't be written down, and is left out.
        """
        table = {
            "steps": [to_table(step) for step in self.steps],
            "data": _writable(self.data),
            "validation": _writable(self.validation),
            "metric": self.metric if isinstance(self.metric, str) else None,
            "seed": self.seed,
            "max-drop": self.max_drop,
        }
        return {key: value for key, value in table.items() if value is not None}

    def but(self, steps: Steps, plugins: Plugins, **settings: object) -> Recipe:
        """Return this recipe with `steps` added, and with those `settings` that are not None."""
        given = {key: value for key, value in settings.items() if value is not None}
        added = tuple(make_step(step, plugins) for step in as_list(steps))
        return replace(self, steps=(*self.steps, *added), **given)  # type: ignore[arg-type]


def as_list(steps: Steps) -> Sequence[Step]:
    """Take a single step for a list of one.

    Raises:
        UsageError: If it is neither.
    """
    if isinstance(steps, str | Mapping | Transform):
        return [steps]
    if not isinstance(steps, Sequence):
        raise UsageError(f"steps are a list, not {type(steps).__name__}")
    return steps


def _from_written(written: Written, plugins: Plugins) -> Recipe:
    settings: dict[str, Any] = {}
    for key, value in written.table.items():
        with noting(_in(written, key)):
            if kebab(str(key)) not in _KEYS:
                raise UnknownNameError("key of a recipe", str(key), _KEYS)
        if key in {"data", "validation"} and isinstance(value, Mapping):
            _check_data(written, key, value)
        settings[str(key).replace("-", "_")] = value
    with noting(_in(written, "steps")):
        steps = as_list(settings.pop("steps", ()))
        if not steps:
            raise UsageError("a recipe needs at least one step")
    made = tuple(
        make_step(step, plugins, partial(written.where, "steps", i)) for i, step in enumerate(steps)
    )
    with noting(_in(written)):
        return Recipe(steps=made, **settings)


def _check_data(written: Written, key: str, table: Mapping[str, Any]) -> None:
    """Check the options of data as long as it is known where they are written."""
    from onnxpress.data.options import OPTION_NAMES, read_options

    for name, value in table.items():
        with noting(_in(written, key, name)):
            if name in OPTION_NAMES:
                read_options({name: value})
            elif not isinstance(value, str | Mapping | os.PathLike):
                nearest = suggestion(str(name), OPTION_NAMES)
                raise OptionError(f"{name} should name an array, not be {value!r}{nearest}")


def _in(written: Written, *keys: str) -> str:
    return f"in {place}" if (place := written.where(*keys)) else ""


def _is_drop(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0


def _writable(data: object) -> object:
    """Return data that a recipe file can name, else None."""
    if isinstance(data, str | os.PathLike):
        return os.fspath(data)
    if isinstance(data, Mapping) and isinstance(data.get("path"), str | os.PathLike):
        return {str(key): _plain(value) for key, value in data.items()}
    return None


def _plain(value: object) -> object:
    return os.fspath(value) if isinstance(value, os.PathLike) else value
