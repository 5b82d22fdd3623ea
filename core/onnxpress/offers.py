"""What a plugin may offer: the checks that a class or a record passes before anybody sees it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, TypeAlias, TypeVar

from pydantic import PydanticUndefinedAnnotation, PydanticUserError

from onnxpress import hooks
from onnxpress.contract import Availability, Importer, Objective, Runtime, Transform
from onnxpress.errors import PluginError, suggestion
from onnxpress.hooks import CONTRACT, OLDEST_CONTRACT
from onnxpress.installed import Origin
from onnxpress.rules import Rule

T = TypeVar("T", Transform, Objective, Importer, Runtime)
Kind: TypeAlias = type[Transform] | type[Objective] | type[Importer] | type[Runtime]

HOOKS: Final[Mapping[Kind, str]] = {
    Transform: "onnxpress_transforms",
    Objective: "onnxpress_objectives",
    Importer: "onnxpress_importers",
    Runtime: "onnxpress_runtimes",
}
SPECS: Final = frozenset(name for name in vars(hooks) if name.startswith("onnxpress_"))
WRAPPABLE: Final = "onnxpress_run_transform"
RULES_HOOK: Final = "onnxpress_rules"
WORDS: Final[Mapping[Kind, str]] = {
    Transform: "step",
    Objective: "objective",
    Importer: "importer",
    Runtime: "runtime",
}
_PLUGIN_NAME: Final = re.compile(r"[\w.-]+")
_KEBAB: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Offer(Generic[T]):
    """A class that a plugin offers, checked."""

    origin: Origin
    item: type[T]

    @property
    def name(self) -> str:
        """Its plain name, which another plugin may claim too."""
        return self.item.name

    @property
    def full_name(self) -> str:
        """``plugin:name``, which is unique."""
        return f"{self.origin.plugin}:{self.item.name}"


def by_name(offers: Iterable[Offer[T]]) -> Mapping[str, type[T]]:
    """Return what is on offer by plain name, and by full name where plain ones clash."""
    claims: dict[str, list[Offer[T]]] = {}
    for offer in offers:
        claims.setdefault(offer.name, []).append(offer)
    return MappingProxyType(
        {
            (name if len(rivals) == 1 else offer.full_name): offer.item
            for name, rivals in claims.items()
            for offer in rivals
        }
    )


def check_plugin(name: str, plugin: object) -> None:
    """Check that an object can be a plugin, and is written for a contract spoken here.

    Raises:
        PluginError: If not.
    """
    if not _PLUGIN_NAME.fullmatch(name):
        raise PluginError(f"{name!r} can't be the name of a plugin; use letters, digits and -")
    if isinstance(plugin, type):
        raise PluginError(f"{plugin.__name__} is a class; name a module or an instance")
    wanted = getattr(plugin, "ONNXPRESS_CONTRACT", CONTRACT)
    if not isinstance(wanted, int):
        raise PluginError(f"ONNXPRESS_CONTRACT is {wanted!r}, not a whole number")
    if not OLDEST_CONTRACT <= wanted <= CONTRACT:
        spoken = f"{OLDEST_CONTRACT} to {CONTRACT}" if OLDEST_CONTRACT < CONTRACT else CONTRACT
        what = "onnxpress" if wanted > CONTRACT else "the plugin"
        raise PluginError(
            f"it is written for contract {wanted}; this onnxpress speaks {spoken}: update {what}"
        )


def check_hooks(members: Mapping[str, Mapping[str, Any] | None]) -> None:
    """Check which hooks a plugin implements.

    Args:
        members: For the name of each member of the plugin, what `hookimpl` said about it;
            None where it is not marked.

    Raises:
        PluginError: If a hook is misspelt, not marked, or can't be wrapped; or there is none.
    """
    marked = {opts.get("specname") or name: opts for name, opts in members.items() if opts}
    for name, opts in marked.items():
        if name not in SPECS and not opts.get("optionalhook"):
            raise PluginError(f"it implements {name!r}, which is no hook{suggestion(name, SPECS)}")
        if (opts.get("wrapper") or opts.get("hookwrapper")) and name != WRAPPABLE:
            raise PluginError(f"it wraps {name!r}; only {WRAPPABLE!r} can be wrapped")
    if bare := sorted(SPECS & {name for name, opts in members.items() if not opts}):
        raise PluginError(f"{bare[0]!r} is not marked; write @onnxpress.hookimpl above it")
    if not marked:
        raise PluginError(f"it implements no hook; there are {', '.join(sorted(SPECS))}")


def check_answer(answer: object) -> list[object]:
    """Return what a hook answered as a list.

    Raises:
        PluginError: If it is a single thing rather than several.
    """
    if isinstance(answer, type | str) or not isinstance(answer, Iterable):
        raise PluginError(f"it returned {answer!r}; return a list")
    return list(answer)


def check_class(item: object, kind: type[T], taken: set[str]) -> type[T]:
    """Return `item` if it is a usable class of that kind; add its name to those `taken`.

    Raises:
        PluginError: Says what is wrong with it.
    """
    if not (isinstance(item, type) and issubclass(item, kind)):
        raise PluginError(f"it returned {item!r}, not a subclass of {kind.__name__}")
    if inspect.isabstract(item):
        missing = ", ".join(sorted(item.__abstractmethods__))
        raise PluginError(f"{item.__name__} does not define {missing}")
    _check_name(item)
    if item.name in taken:
        raise PluginError(f"it offers two things called {item.name!r}")
    taken.add(item.name)
    if issubclass(item, Transform | Objective):
        _check_options(item)
    else:
        _check_constructor(item)
    return item


def check_rule(item: object) -> Rule:
    """Return `item` if it is a usable rule.

    Raises:
        PluginError: Says what is wrong with it.
    """
    if not isinstance(item, Rule):
        raise PluginError(f"it returned {item!r}, not a Rule")
    if not callable(item.apply):
        raise PluginError(f"the {item.table!r} rule for {item.op!r} can't be called")
    return item


def probe(runtime: type[Runtime]) -> Availability:
    """Ask a runtime whether it works here; one that breaks its word and raises does not."""
    try:
        found = runtime.probe()
    except Exception as error:  # noqa: BLE001
        reason = f"its probe failed: {type(error).__name__}: {error}"
        return Availability(usable=False, reason=reason)
    if isinstance(found, Availability):
        return found
    return Availability(usable=False, reason=f"its probe answered {found!r}")


def _check_name(item: Kind) -> None:
    name: Any = getattr(item, "name", None)
    if not (isinstance(name, str) and _KEBAB.fullmatch(name)):
        said = "has no name" if name is None else f"has the name {name!r}"
        raise PluginError(f"{item.__name__} {said}; write name: ClassVar[str] = 'like-this'")


def _check_options(item: type[Transform] | type[Objective]) -> None:
    """Check that the options can be validated, and written into a recipe.

    Pydantic refuses a bad type when the class is made, except for names that are not
    defined yet; those it tries again on first use, which would be a user's.
    """
    try:
        # An empty namespace, or names of this very function would count as defined.
        item.model_rebuild(_types_namespace={})
        item.model_json_schema()
    except PydanticUndefinedAnnotation as error:
        raise PluginError(
            f"an option of {item.name!r} has the type {error.name!r}, which is not defined "
            "when the program runs; import it outside of TYPE_CHECKING"
        ) from error
    except PydanticUserError as error:
        raise PluginError(
            f"an option of {item.name!r} has no valid type: {error.message}"
        ) from error


def _check_constructor(item: type[Importer] | type[Runtime]) -> None:
    try:
        inspect.signature(item).bind()
    except TypeError as error:
        raise PluginError(f"{item.__name__} can't be made without arguments: {error}") from error
    if issubclass(item, Runtime) and "<locals>" in item.__qualname__:
        raise PluginError(
            f"{item.__name__} is defined inside a function; models are measured in processes "
            "of their own, which must be able to import it"
        )
