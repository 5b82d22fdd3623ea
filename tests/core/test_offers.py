"""What a plugin may not do, and what it hears of it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import ClassVar

import pytest

from onnxpress import Job, Model, Plugins, Rule, Runtime, Transform, hookimpl
from onnxpress.contract import Availability, Objective
from onnxpress.errors import PluginError, PluginWarning
from onnxpress.events import Progress
from onnxpress.offers import probe
from tests.fakes import RULE, Nothing, Nowhere, Shout, Whisper, installed, offering


def _bare() -> SimpleNamespace:
    def onnxpress_transforms() -> list[type[Transform]]:
        return [Shout]

    return SimpleNamespace(onnxpress_transforms=onnxpress_transforms)


def _unknown_argument() -> SimpleNamespace:
    @hookimpl
    def onnxpress_event(event: object, colour: str) -> None: ...

    return SimpleNamespace(onnxpress_event=onnxpress_event)


def _wrapping_an_offer() -> SimpleNamespace:
    @hookimpl(wrapper=True)
    def onnxpress_transforms() -> Generator[None, object, object]:
        return (yield)

    return SimpleNamespace(onnxpress_transforms=onnxpress_transforms)


BREACHES = {
    "a misspelt hook": (
        offering(transfroms=[Shout]),
        r"'onnxpress_transfroms', which is no hook; did you mean 'onnxpress_transforms'",
    ),
    "an unknown argument": (_unknown_argument(), "colour"),
    "a hook without its mark": (_bare(), "'onnxpress_transforms' is not marked; write @onnxpress"),
    "no hook": (SimpleNamespace(), "implements no hook"),
    "a wrapped offer": (_wrapping_an_offer(), "only 'onnxpress_run_transform' can be wrapped"),
    "a newer contract": (
        SimpleNamespace(ONNXPRESS_CONTRACT=2, **vars(offering())),
        "written for contract 2; this onnxpress speaks 1: update onnxpress",
    ),
    "an older contract": (
        SimpleNamespace(ONNXPRESS_CONTRACT=0, **vars(offering())),
        "contract 0; this onnxpress speaks 1: update the plugin",
    ),
    "a contract that is no number": (
        SimpleNamespace(ONNXPRESS_CONTRACT="1", **vars(offering())),
        "ONNXPRESS_CONTRACT is '1', not a whole number",
    ),
    "a class": (Shout, "Shout is a class; name a module or an instance"),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_of_contract_is_refused_and_leaves_no_trace(breach: str) -> None:
    plugin, message = BREACHES[breach]
    plugins = Plugins()
    with pytest.raises(PluginError, match=message):
        plugins.add("acme", plugin)
    plugins.add("acme", offering(Shout))  # the name is still free
    assert list(plugins.transforms) == ["shout"]
    plugins.notify(Progress("x", 0, 1))


def _nothing() -> list[object]:
    return []


def test_an_optional_hook_of_a_later_version_is_no_breach() -> None:
    future = hookimpl(optionalhook=True)(_nothing)
    plugins = Plugins(strict=True)
    plugins.add("acme", SimpleNamespace(onnxpress_prizes=future))
    assert plugins.transforms == {}


@pytest.mark.parametrize("name", ["a:b", "a,b", "", "a b"])
def test_a_plugin_name_that_could_not_be_typed_is_refused(name: str) -> None:
    with pytest.raises(PluginError, match="can't be the name of a plugin"):
        Plugins().add(name, offering(Shout))


class Nameless(Transform):
    def apply(self, model: Model, job: Job) -> Model:
        return model


class Camel(Nameless):
    name: ClassVar[str] = "camelCase"


class NameAsOption(Nameless):
    name: str = "shout"  # type: ignore[misc]


class Lazy(Nameless):
    """Has an option of a type that is nowhere defined."""

    name: ClassVar[str] = "lazy"
    where: Undefined | None = None  # type: ignore[name-defined]  # noqa: F821


class Unspeakable(Nameless):
    """Has an option that no recipe can hold."""

    name: ClassVar[str] = "unspeakable"
    how: Callable[[], int] = int


class Abstract(Transform):
    name: ClassVar[str] = "abstract"


class Aimless(Objective):
    name: ClassVar[str] = "aimless"


class Vague(Nothing):
    """Has an option of a type that is nowhere defined."""

    name: ClassVar[str] = "vague"
    where: Undefined | None = None  # type: ignore[name-defined]  # noqa: F821


class Demanding(Nowhere):
    name: ClassVar[str] = "demanding"

    def __init__(self, device: str) -> None:
        self.device = device


def _local() -> type[Runtime]:
    class Local(Nowhere):
        name: ClassVar[str] = "local"

    return Local


BAD_ANSWERS: dict[str, tuple[dict[str, object], str]] = {
    "none": ({"transforms": None}, "it returned None; return a list"),
    "one class": ({"transforms": Shout}, "Shout'>; return a list"),
    "text": ({"transforms": "shout"}, "it returned 'shout'; return a list"),
    "no class": ({"transforms": ["shout"]}, "returned 'shout', not a subclass of Transform"),
    "another class": ({"transforms": [Nowhere]}, "not a subclass of Transform"),
    "an instance": ({"transforms": [Shout()]}, r"Shout\(times=1\), not a subclass"),
    "an abstract class": ({"transforms": [Abstract]}, "Abstract does not define apply"),
    "no name": ({"transforms": [Nameless]}, "Nameless has no name; write name: ClassVar"),
    "name as an option": ({"transforms": [NameAsOption]}, "NameAsOption has no name"),
    "a name of another shape": ({"transforms": [Camel]}, "Camel has the name 'camelCase'"),
    "a name twice": ({"transforms": [Shout, Shout]}, "it offers two things called 'shout'"),
    "an undefined type": ({"transforms": [Lazy]}, "option of 'lazy' has the type 'Undefined'"),
    "a type for no recipe": ({"transforms": [Unspeakable]}, "'unspeakable' has no valid type"),
    "a step as an objective": ({"objectives": [Shout]}, "not a subclass of Objective"),
    "an abstract objective": ({"objectives": [Aimless]}, "Aimless does not define build"),
    "an objective twice": ({"objectives": [Nothing, Nothing]}, "two things called 'nothing'"),
    "an objective's type": ({"objectives": [Vague]}, "option of 'vague' has the type 'Undefined'"),
    "a runtime with arguments": ({"runtimes": [Demanding]}, "Demanding can't be made without"),
    "a runtime in a function": ({"runtimes": [_local()]}, "Local is defined inside a function"),
    "a rule of another kind": ({"rules": [len]}, "returned <built-in function len>, not a Rule"),
    "a rule that is no function": ({"rules": [Rule("cost", "Relu", 3)]}, "'Relu' can't be called"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", BAD_ANSWERS)
def test_a_bad_answer_costs_only_itself(case: str) -> None:
    answers, message = BAD_ANSWERS[case]
    plugins = Plugins()
    installed(plugins, "bad", offering(**answers))
    installed(plugins, "good", offering(Whisper, runtimes=[Nowhere], rules=[RULE]))
    with pytest.warns(PluginWarning, match=message):
        described = plugins.describe()
    assert [d["status"] for d in described] == ["ready", "ready"]
    assert len(described[0]["failures"]) == 1
    assert "whisper" in plugins.transforms
    assert plugins.rules[-1:] == (RULE,)
    assert len(plugins.failures) == 1


def test_of_an_answer_what_is_good_stays() -> None:
    plugins = Plugins()
    installed(plugins, "acme", offering(Nameless, Shout))
    with pytest.warns(PluginWarning):
        assert list(plugins.transforms) == ["shout"]


def test_a_runtime_that_raises_when_probed_is_not_usable() -> None:
    class Panics(Nowhere):
        @classmethod
        def probe(cls) -> Availability:
            raise OSError("no driver")

    class Nods(Nowhere):
        @classmethod
        def probe(cls) -> Availability:
            return True  # type: ignore[return-value]

    assert probe(Nowhere).reason == "it does not exist"
    assert probe(Panics) == Availability(
        usable=False, reason="its probe failed: OSError: no driver"
    )
    assert probe(Nods) == Availability(usable=False, reason="its probe answered True")
