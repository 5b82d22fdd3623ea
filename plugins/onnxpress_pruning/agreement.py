"""Which options of a pruning step exclude each other, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from onnxpress.recipe.options import kebab
from onnxpress_pruning.criteria.criterion import Criterion

if TYPE_CHECKING:
    from onnxpress_pruning.pruning import Pruning

_SHARES: Final = ("sparsity", "ratio", "sparsities")
_THRESHOLDS: Final = ("threshold", "sensitivity")
_BUDGETS: Final = ("parameters", "bytes", "macs")
_INSTEAD: Final = (*_BUDGETS, *_THRESHOLDS)
_AMOUNTS: Final = (*_SHARES, "scope", "of", "at_most", *_INSTEAD)
_LEFT_TO_MASKS: Final = (
    *("criterion", "structure", *_AMOUNTS, "layers", "exclude"),
    *("pattern", "axis", "block", "pooling"),
)
_ONLY_FOR: Final[Mapping[str, tuple[str, ...]]] = {
    "pattern": ("n:m",),
    "axis": ("n:m",),
    "block": ("block",),
    "pooling": ("block",),
    "round_to": ("channel", "head"),
    "reconstruct": ("unstructured", "n:m", "block", "channel", "head"),
    "macs": ("channel", "head", "depth"),
    **dict.fromkeys(
        ("of", "threshold", "sensitivity", "include_bias", "include_norm", "masks"),
        ("unstructured", "n:m", "block"),
    ),
}
REMOVED: Final = ("channel", "head", "depth")
"""The structures whose parts are taken out."""


_NO_MACS: Final = (
    ": zeros save no multiplication; give parameters or bytes, or take whole parts out"
)


def check_agreement(step: Pruning) -> None:
    """Check the options of a step against each other.

    Raises:
        ValueError: If some exclude each other; says which to leave out.
    """
    given = _given(step)
    if step.masks is not None:
        _leave_out(given & set(_LEFT_TO_MASKS), "masks decide alone what is pruned", step)
    _check_structure(step, given)
    _check_amount(step, given)
    _check_criterion(step, given)
    if step.schedule.name != "one-shot":
        said = f"schedule={step.schedule.name} goes to a share"
        _leave_out(given & set(_THRESHOLDS), said, step)


def _check_structure(step: Pruning, given: set[str]) -> None:
    for option, structures in _ONLY_FOR.items():
        if option in given and step.structure not in structures:
            why = _NO_MACS if option == "macs" else ""
            raise ValueError(f"{kebab(option)} needs structure={' or '.join(structures)}{why}")
    if step.structure == "n:m":
        keep, of = step.pattern
        said = f"pattern={keep}:{of} decides how much is pruned"
        _leave_out(given & set(_AMOUNTS), said, step)


def _check_amount(step: Pruning, given: set[str]) -> None:
    if {"sparsity", "ratio"} <= given:
        raise ValueError("sparsity and ratio mean the same; leave one out")
    instead = [name for name in _INSTEAD if name in given]
    if len(instead) > 1:
        raise ValueError(f"give one of {' and '.join(instead)}")
    if instead:
        others = {*_SHARES, "of", *(("scope",) if instead[0] in _THRESHOLDS else ())}
        _leave_out(given & others, f"{instead[0]} decides how much is pruned", step)
    if step.scope == "global" and step.sparsities:
        raise ValueError("sparsities need scope=layer; scope=global ranks all weights together")


def _check_criterion(step: Pruning, given: set[str]) -> None:
    kind = type(step.criterion)
    if step.structure in REMOVED:
        return
    if kind.elements is Criterion.elements:
        raise ValueError(
            f"criterion={kind.name} ranks whole channels, not the single weights that "
            f"structure={step.structure} needs"
        )
    if kind.always_global:
        said = f"{kind.name} ranks all tensors together"
        _leave_out(given & {"sparsities", *_THRESHOLDS}, said, step)
    if "sensitivity" in given and kind.name != "l1":
        raise ValueError("sensitivity compares |w| with deviations of w: it needs criterion=l1")
    _check_comparable(step, kind, given)


def _check_comparable(step: Pruning, kind: type[Criterion], given: set[str]) -> None:
    """Check that scores are compared only where the criterion says they can be."""
    if step.scope == "global" and kind.within != "model":
        raise ValueError(
            f"the scores of {kind.name} compare within one {kind.within} only; use scope=layer"
        )
    if kind.within != "output":
        return
    if step.structure == "block":
        raise ValueError(f"{kind.name} compares within one output; structure=block spans several")
    said = f"{kind.name} takes the same share of every output"
    _leave_out(given & {"at_most", *_THRESHOLDS}, said, step)


def _given(step: Pruning) -> set[str]:
    """Return the options that are not as usual."""
    fields = type(step).model_fields
    return {
        name
        for name in step.model_fields_set
        if getattr(step, name) != fields[name].get_default(call_default_factory=True)
    }


def _leave_out(given: Iterable[str], because: str, step: Pruning) -> None:
    if given:
        order = [name for name in type(step).model_fields if name in set(given)]
        raise ValueError(f"{because}; leave out {', '.join(map(kebab, order))}")
