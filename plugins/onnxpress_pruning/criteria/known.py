"""Every criterion by name.  To add one, write its class, and name it and its module here.

A module is imported when one of its criteria is asked for: most need the graph, which takes
longer to import than ``--help`` may.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any, Final, TypeAlias, final

from pydantic import BeforeValidator

from onnxpress.recipe.chosen import choose
from onnxpress_pruning.criteria.criterion import Criterion


@final
class Kinds(Mapping[str, type[Criterion]]):
    """Classes by the names of their criteria, each imported when it is asked for.

    Args:
        places: Where each class is, as ``module:Class``, by the name of its criterion.
    """

    def __init__(self, **places: str) -> None:
        self._places = {name.replace("_", "-"): place for name, place in places.items()}

    def __getitem__(self, name: str) -> type[Criterion]:
        module, _, found = self._places[name].partition(":")
        kind: type[Criterion] = getattr(import_module(f"{__package__}.{module}"), found)
        return kind

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


MAGNITUDE: Final = Kinds(
    l1="weights:L1",
    l2="weights:L2",
    lamp="weights:Lamp",
    fpgm="channel_weights:Fpgm",
    bn_scale="channel_weights:BnScale",
    random="weights:Random",
    given="weights:Given",
)
"""What `magnitude-pruning` offers: criteria that look at the weights alone."""

SALIENCY: Final = Kinds(
    snip="gradients:Snip",
    taylor="gradients:Taylor",
    taylor_activation="gradients_activations:TaylorActivation",
    fisher="gradients:Fisher",
    obd="gradients_curvature:Obd",
    grasp="gradients_second:Grasp",
    synflow="gradients_flow:Synflow",
    wanda="activations:Wanda",
    obs="obs:Obs",
    activation_mean="activations:ActivationMean",
    apoz="activations:Apoz",
    shuffled="shuffled:Shuffled",
    random="weights:Random",
)
"""What `saliency-pruning` offers: criteria that look at what weights do, and the control."""


def make_magnitude(written: object) -> Criterion:
    """Return the criterion meant: ``l1``, ``random``, a table with ``use``, or the object.

    Raises:
        UnknownNameError: If there is none of that name; names the nearest.
        OptionError: If an option does not take its value.
    """
    return choose(Criterion, MAGNITUDE, "criterion", written)


def make_saliency(written: object) -> Criterion:
    """Return the criterion meant; as `make_magnitude`."""
    return choose(Criterion, SALIENCY, "criterion", written)


MagnitudeCriterion: TypeAlias = Annotated[Any, BeforeValidator(make_magnitude)]
SaliencyCriterion: TypeAlias = Annotated[Any, BeforeValidator(make_saliency)]
