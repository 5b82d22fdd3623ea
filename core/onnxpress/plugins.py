"""Find plugins, check them against the contract, and survive the bad ones.

A plugin that can't be used is left out, remembered as a `Failure`, and named
again when somebody asks for a thing it might have provided.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pluggy

from onnxpress import hooks, offers
from onnxpress.contract import Importer, Objective, Runtime, Transform
from onnxpress.errors import PluginError, UnknownNameError, UsageError
from onnxpress.failures import Failure, Failures
from onnxpress.installed import BLOCK, Entry, Origin, installed, own_first
from onnxpress.offers import HOOKS, RULES_HOOK, WORDS, Offer, T, by_name
from onnxpress.rules import Rule

if TYPE_CHECKING:
    from onnxpress.events import Event
    from onnxpress.graph.model import Model
    from onnxpress.job import Job

R = TypeVar("R")

_EVENT: Final = "onnxpress_event"


class Plugins:
    """The plugins in use, and what they offer.  Make one, pass it around.

    Args:
        strict: Whether the first failure of a plugin raises `PluginError`; otherwise it
            is recorded in `failures`, warned about once, and costs only that plugin.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self._manager = pluggy.PluginManager("onnxpress")
        self._manager.add_hookspecs(hooks)
        self._manager.register(_Host(), name="onnxpress")
        self._origins: dict[str, Origin] = {}
        self._blocked: list[Origin] = []
        self._failures = Failures(strict=strict)
        self._answers: dict[tuple[str, str], Sequence[Any]] = {}

    @classmethod
    def discover(cls, *, strict: bool = False) -> Plugins:
        """Load every installed plugin except those that ``ONNXPRESS_BLOCK`` names.

        The variable is a comma-separated list of plugins or distributions; it is read
        here and nowhere else.
        """
        plugins = cls(strict=strict)
        blocked = os.environ.get(BLOCK, "").split(",")
        for entry in installed():
            if entry.origin.named_in(blocked):
                plugins._blocked.append(entry.origin)
            else:
                plugins.load(entry)
        return plugins

    def load(self, entry: Entry) -> None:
        """Import an installed plugin and add it; what goes wrong costs only this plugin."""
        loaded: list[object] = []
        with self._failures.survive(entry.origin, "import"), redirect_stdout(sys.stderr):
            loaded.append(entry.load())
        with self._failures.survive(entry.origin, "contract"):
            for plugin in loaded:
                self._register(entry.origin, plugin)

    def add(self, name: str, plugin: object) -> None:
        """Add a module, or an object with hooks as methods, under `name`.

        Raises:
            PluginError: If it breaks the contract, or the name is taken.
        """
        self._register(Origin(name), plugin)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What was left out so far; what is on offer is looked at when first asked for."""
        return tuple(self._failures)

    @property
    def transforms(self) -> Mapping[str, type[Transform]]:
        """Every step on offer, by plain name; by ``plugin:name`` where plain names clash."""
        return by_name(self._offers(Transform))

    @property
    def objectives(self) -> Mapping[str, type[Objective]]:
        """Every loss and penalty on offer, named as `transforms` are."""
        return by_name(self._offers(Objective))

    @property
    def importers(self) -> Mapping[str, type[Importer]]:
        """Every importer on offer, named as `transforms` are."""
        return by_name(self._offers(Importer))

    @property
    def runtimes(self) -> Mapping[str, type[Runtime]]:
        """Every runtime on offer, usable here or not, named as `transforms` are."""
        return by_name(self._offers(Runtime))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule on offer; in a table, later ones win over earlier ones."""
        return tuple(r for name in self._origins for r in self._rules_of(name))

    def find_transform(self, name: str) -> type[Transform]:
        """Return the step called `name`, plain or as ``plugin:name``.

        Raises:
            UnknownNameError: With the nearest names, and the plugins that were left out.
            UsageError: If several plugins claim the plain name.
        """
        return self._find(Transform, name)

    def find_objective(self, name: str) -> type[Objective]:
        """Return the loss or penalty called `name`; as `find_transform`."""
        return self._find(Objective, name)

    def find_importer(self, name: str) -> type[Importer]:
        """Return the importer called `name`; as `find_transform`."""
        return self._find(Importer, name)

    def find_runtime(self, name: str) -> type[Runtime]:
        """Return the runtime called `name`; as `find_transform`."""
        return self._find(Runtime, name)

    def accepting(self, source: object) -> Mapping[str, type[Importer]]:
        """Return the importers that accept `source`; one that fails to say does not."""
        willing: list[Offer[Importer]] = []
        for offer in self._offers(Importer):
            with self._failures.survive(offer.origin, f"{offer.name}.accepts"):
                if offer.item().accepts(source):
                    willing.append(offer)
        return by_name(willing)

    def run(self, transform: Transform, model: Model, job: Job) -> Model:
        """Run one step, through the plugins that wrap or replace running.

        What the step itself raises is passed on as it is.

        Raises:
            PluginError: If what comes out is no model.
        """
        from onnxpress.graph.model import Model

        hook = self._manager.hook.onnxpress_run_transform
        result = hook(transform=transform, model=model, job=job)
        if not isinstance(result, Model):
            others = [str(o) for n, o in self._origins.items() if self._hooks_of(n, hook.name)]
            also = f" (or {', '.join(others)} did, running it)" if others else ""
            raise PluginError(
                f"step {transform.name!r} returned {result!r}, which is no Model{also}"
            )
        return result

    def notify(self, event: Event) -> None:
        """Tell every observer; one that raises is told nothing more."""
        deaf = {f.origin for f in self._failures if f.stage == _EVENT}
        for name, origin in self._origins.items():
            for hook in self._hooks_of(name, _EVENT) if origin not in deaf else ():
                with self._failures.survive(origin, _EVENT):
                    hook.function(*(event for _ in hook.argnames))

    def describe(self) -> list[dict[str, Any]]:
        """Return one record per installed plugin, for ``onnxpress plugins --json``.

        ``status`` is ``ready``, ``failed`` or ``blocked``.  A plugin that is ready may
        still have ``failures``, for a part of what it offers.
        """
        ready = {origin: self._offered(name) for name, origin in self._origins.items()}
        known = {*ready, *self._blocked, *(f.origin for f in self._failures)}
        return [
            {
                "name": origin.plugin,
                "distribution": origin.distribution,
                "version": origin.version,
                "status": self._status(origin),
                **ready.get(origin, {}),
                "failures": [f"{f.stage}: {f.cause}" for f in self._failures if f.origin == origin],
            }
            for origin in sorted(known, key=own_first)
        ]

    def _status(self, origin: Origin) -> str:
        if origin in self._blocked:
            return "blocked"
        return "ready" if self._origins.get(origin.plugin) == origin else "failed"

    def _offered(self, plugin: str) -> dict[str, list[str]]:
        return {
            "transforms": [o.name for o in self._offers_of(plugin, Transform)],
            "objectives": [o.name for o in self._offers_of(plugin, Objective)],
            "importers": [o.name for o in self._offers_of(plugin, Importer)],
            "runtimes": [o.name for o in self._offers_of(plugin, Runtime)],
            "rules": [f"{r.table}: {r.operator}" for r in self._rules_of(plugin)],
        }

    def _register(self, origin: Origin, plugin: object) -> None:
        # A name stays with the plugin that claimed it first, even if that one failed.
        claims = {f.origin.plugin: f.origin for f in self._failures if f.whole} | self._origins
        if taken := {"onnxpress": "the host", **claims}.get(origin.plugin):
            raise PluginError(f"the name {origin.plugin!r} is taken by {taken}")
        members = {name: self._manager.parse_hookimpl_opts(plugin, name) for name in dir(plugin)}
        offers.check_plugin(origin.plugin, plugin)
        offers.check_hooks(members)
        try:
            self._manager.register(plugin, name=origin.plugin)
        except Exception as error:
            self._manager.unregister(name=origin.plugin)
            raise PluginError(" ".join(str(error).split())) from error
        self._origins[origin.plugin] = origin

    def _hooks_of(self, plugin: str, hook: str) -> list[pluggy.HookImpl]:
        found: list[pluggy.HookImpl] = getattr(self._manager.hook, hook).get_hookimpls()
        return [h for h in found if h.plugin_name == plugin]

    def _offers(self, kind: type[T]) -> list[Offer[T]]:
        return [offer for name in self._origins for offer in self._offers_of(name, kind)]

    def _offers_of(self, plugin: str, kind: type[T]) -> list[Offer[T]]:
        check = partial(offers.check_class, kind=kind, taken=set())
        return [Offer(self._origins[plugin], c) for c in self._ask(plugin, HOOKS[kind], check)]

    def _rules_of(self, plugin: str) -> Sequence[Rule]:
        return self._ask(plugin, RULES_HOOK, offers.check_rule)

    def _ask(self, plugin: str, hook: str, check: Callable[[object], R]) -> Sequence[R]:
        """Ask one plugin, once and for all; of its answer, keep what passes the check."""
        if (plugin, hook) not in self._answers:
            answer: list[object] = []
            origin = self._origins[plugin]
            with self._failures.survive(origin, hook), redirect_stdout(sys.stderr):
                for implementation in self._hooks_of(plugin, hook):
                    answer += offers.check_answer(implementation.function())
            good: list[R] = []
            for item in answer:
                with self._failures.survive(origin, hook):
                    good.append(check(item))
            self._answers[plugin, hook] = good
        return self._answers[plugin, hook]

    def _find(self, kind: type[T], name: str) -> type[T]:
        there = self._offers(kind)
        found = [o for o in there if name in {o.name, o.full_name}]
        if len(found) == 1:
            return found[0].item
        word, full = WORDS[kind], [o.full_name for o in found]
        if found:
            raise UsageError(
                f"there are {len(found)} {word}s called {name!r}, of "
                f"{' and '.join(str(o.origin) for o in found)}; say {' or '.join(full)}"
            )
        known = [o.full_name for o in there] if ":" in name else by_name(there)
        raise UnknownNameError(word, name, known, self._suspects(name, HOOKS[kind]))

    def _suspects(self, name: str, hook: str) -> Iterator[str]:
        """Yield what was left out and might have provided `name`."""
        plugin = name.partition(":")[0] if ":" in name else None
        for failure in self._failures:
            if (failure.whole or failure.stage == hook) and plugin in {None, failure.origin.plugin}:
                yield str(failure)
        for origin in self._blocked:
            if plugin in {None, origin.plugin}:
                yield f"{origin} is left out by {BLOCK}"


class _Host:
    """What the host itself implements."""

    @hooks.hookimpl(trylast=True)
    def onnxpress_run_transform(self, transform: Transform, model: Model, job: Job) -> Model:
        return transform.apply(model, job)
