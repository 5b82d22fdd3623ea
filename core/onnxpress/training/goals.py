"""Which objectives a fit has: those asked for, or what fits the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from onnxpress.errors import UsageError
from onnxpress.graph.constants import STANDARD
from onnxpress.plugins import Plugins
from onnxpress.recipe.steps import make_objective

if TYPE_CHECKING:
    from onnxpress.contract import Objective
    from onnxpress.data.batch import Array, Data
    from onnxpress.graph.model import Model

_GIVE: Final = "name an objective, such as objective=mean-squared-error:output=NAME"


def open_objectives(
    written: Sequence[Any], model: Model, data: Data, plugins: Plugins | None
) -> tuple[Objective, ...]:
    """Return the objectives that are meant; penalties alone are added to what fits the labels.

    Raises:
        UnknownNameError: If there is no objective of a name, or no such option.
        OptionError: If an option does not take its value.
        UsageError: If none is given that compares with labels, and none fits.
    """
    host = plugins or Plugins.discover()
    given = tuple(make_objective(one, host) for one in written)
    if given and not all(objective.penalty for objective in given):
        return given
    return (make_objective(_usual(model, data), host), *given)


def _usual(model: Model, data: Data) -> str:
    """Choose by the labels: class indices, several yes or no, or values."""
    labels = next(iter(data)).labels if data.labelled else None
    if labels is None:
        raise UsageError(
            f"training needs labels, and {data.name} has none: name the array with labels=… in "
            "--data, or give an objective that needs none"
        )
    if len(model.outputs) != 1:
        names = ", ".join(value.name or "" for value in model.outputs)
        raise UsageError(f"the model has {len(model.outputs)} outputs ({names}); {_GIVE}")
    if _ends_in(model, "Sigmoid"):
        return "binary-cross-entropy"
    return "cross-entropy" if _are_classes(model, labels) else "mean-squared-error"


def _ends_in(model: Model, op_type: str) -> bool:
    node = model.outputs[0].producer()
    return node is not None and node.op_type == op_type and node.domain in STANDARD


def _are_classes(model: Model, labels: Array) -> bool:
    """Say whether labels are class indices, or one-hot rows of a model that ends in Softmax."""
    if labels.dtype.kind in "iub":
        return True
    known = model.types.get(model.outputs[0].name or "")
    rank = None if known is None or known.shape is None else len(known.shape)
    ends = _ends_in(model, "Softmax") or _ends_in(model, "LogSoftmax")
    return ends and rank == labels.ndim
