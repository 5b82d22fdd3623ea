"""The functions by which a plugin takes part.

A plugin is a module named by an entry point in the group ``onnxpress``.  It
defines some of these functions, marked with `hookimpl`; nothing else connects
it to the host.  Functions that *offer* something take no arguments, return
classes or records, and must be cheap.

`CONTRACT` is raised only when a plugin that works could stop working.
Additions leave it alone: an implementation may name fewer arguments than its
specification, and records of the contract grow by fields that have defaults.
A plugin may say which version it was written for: ``ONNXPRESS_CONTRACT = 1``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import pluggy

if TYPE_CHECKING:
    from onnxpress.contract import Importer, Objective, Runtime, Transform
    from onnxpress.events import Event
    from onnxpress.graph.model import Model
    from onnxpress.job import Job
    from onnxpress.rules import Rule

CONTRACT: Final = 1
OLDEST_CONTRACT: Final = 1

hookspec = pluggy.HookspecMarker("onnxpress")
hookimpl = pluggy.HookimplMarker("onnxpress")


# What a plugin offers.  Collected once, plugin by plugin.


@hookspec
def onnxpress_transforms() -> Iterable[type[Transform]]:
    """Offer steps for recipes.

    Names are plain (``magnitude-pruning``); where two plugins claim one,
    ``plugin:name`` picks one, and the plain name is an error that names both.
    """
    ...


@hookspec
def onnxpress_objectives() -> Iterable[type[Objective]]:
    """Offer losses and penalties for training.

    Names are plain (``cross-entropy``), and clash like those of transforms.
    """
    ...


@hookspec
def onnxpress_importers() -> Iterable[type[Importer]]:
    """Offer ways to load models of other frameworks.

    The host asks every importer whether it `accepts` a source; none or two that
    do is an error that lists them.
    """
    ...


@hookspec
def onnxpress_runtimes() -> Iterable[type[Runtime]]:
    """Offer places to run and measure models.

    Offer them even where they can't be used: `Runtime.probe` says why not, and
    ``onnxpress runtimes`` shows it.
    """
    ...


@hookspec
def onnxpress_rules() -> Iterable[Rule]:
    """Offer per-operator rules for tables that core or other plugins keep.

    This is how support for a custom operator reaches the tables ``cost`` or
    ``quantization`` without importing them.  Rules for a table that nobody keeps
    are ignored.
    """
    ...


# What a plugin takes part in.


@hookspec(firstresult=True)
def onnxpress_run_transform(transform: Transform, model: Model, job: Job) -> Model | None:
    """Run one transform and return its result; the first answer counts.

    The host answers last, by calling `Transform.apply`.  Plugins rarely answer;
    they wrap (``@hookimpl(wrapper=True)``) to cache, verify or log.
    """
    ...


@hookspec
def onnxpress_event(event: Event) -> None:
    """Observe progress and results.  What an observer raises is reported, not fatal."""
    ...
