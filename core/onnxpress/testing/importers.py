"""`check_importer`: what every importer promises."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onnxpress.testing.require import as_bytes, require

if TYPE_CHECKING:
    from onnxpress.contract import Importer
    from onnxpress.data.batch import Array, Feeds
    from onnxpress.graph.model import Model

_STRANGERS: Final[tuple[object, ...]] = (
    None,
    3,
    object(),
    [],
    {},
    "no-such-thing",
    Path("no-such-file.unknown"),
)


def check_importer(
    importer: type[Importer],
    source: object,
    example_inputs: Sequence[Array] | Feeds | None = None,
) -> Model:
    """Check an importer on one source.

    - It accepts the source, and nothing strange; to find out it imports no library.
    - What it loads is a model that passes the checker and loads in ONNX Runtime.
    - Loading twice gives the same bytes.

    Args:
        importer: The class.
        source: Something it can load.
        example_inputs: Arrays to trace with, if it needs some.

    Returns:
        The model, for checks of your own.

    Raises:
        AssertionError: Says which promise is broken, and how.
    """
    from onnxpress.graph.model import Model
    from onnxpress.session import Session

    name = importer.name
    _check_strangers(importer())
    require(importer().accepts(source), f"{name} does not accept {source!r}")
    model = importer().load(source, example_inputs)
    require(isinstance(model, Model), f"{name} returned {model!r}, not a Model")
    model.check()
    Session(model)
    again = importer().load(source, example_inputs)
    require(as_bytes(model) == as_bytes(again), f"{name} loaded other bytes the second time")
    return model


def _check_strangers(importer: Importer) -> None:
    known = set(sys.modules)
    for stranger in _STRANGERS:
        require(not importer.accepts(stranger), f"{importer.name} accepts {stranger!r}")
    own = type(importer).__module__.partition(".")[0]
    new = {module.partition(".")[0] for module in set(sys.modules) - known}
    heavy = sorted(new - {own} - sys.stdlib_module_names)
    require(not heavy, f"{importer.name}.accepts imported {', '.join(heavy)}")
