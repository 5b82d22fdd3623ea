"""The host survives every bad plugin, and says what was wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from types import SimpleNamespace
from typing import ClassVar

import pytest

from onnxpress import Job, Model, Plugins, Transform, hookimpl
from onnxpress.errors import PluginError, PluginWarning, UnknownNameError, UsageError
from onnxpress.events import Progress
from onnxpress.installed import Entry, Origin
from tests.fakes import (
    RULE,
    Anything,
    Nothing,
    Nowhere,
    Shout,
    Whisper,
    installed,
    model,
    offering,
)


def failed(plugins: Plugins) -> list[str]:
    return [str(f) for f in plugins.failures]


# What is offered is found.


def test_every_kind_of_offer_is_found_by_name() -> None:
    plugins = Plugins(strict=True)
    more = {"objectives": [Nothing], "importers": [Anything], "runtimes": (Nowhere,)}
    plugins.add("acme", offering(Shout, rules=iter([RULE]), **more))
    assert plugins.transforms == {"shout": Shout}
    assert plugins.find_transform("shout") is plugins.find_transform("acme:shout") is Shout
    assert plugins.objectives == {"nothing": Nothing}
    assert plugins.find_objective("nothing") is plugins.find_objective("acme:nothing") is Nothing
    assert plugins.find_importer("anything") is Anything
    assert plugins.find_runtime("nowhere") is Nowhere
    assert plugins.rules == (RULE,)


def test_a_plugin_may_be_an_object_with_methods_and_answer_as_a_generator() -> None:
    class Plugin:
        @hookimpl
        def onnxpress_transforms(self) -> Iterator[type[Transform]]:
            yield Shout

    plugins = Plugins(strict=True)
    plugins.add("acme", Plugin())
    assert plugins.find_transform("shout") is Shout


def test_a_plugin_is_asked_only_once() -> None:
    asked: list[int] = []

    @hookimpl
    def onnxpress_transforms() -> list[type[Transform]]:
        asked.append(1)
        return [Shout]

    plugins = Plugins(strict=True)
    plugins.add("acme", SimpleNamespace(onnxpress_transforms=onnxpress_transforms))
    assert plugins.transforms == plugins.transforms
    plugins.add("later", offering(Whisper))
    assert list(plugins.transforms) == ["shout", "whisper"]
    assert asked == [1]


def test_two_plugins_claiming_one_name_is_an_error_only_where_the_plain_name_is_asked_for() -> None:
    other = type("Other", (Shout,), {"__module__": __name__})
    plugins = Plugins(strict=True)
    installed(plugins, "acme", offering(Shout))
    installed(plugins, "zeta", offering(other, Whisper), distribution="zeta-onnx")
    assert plugins.transforms == {"acme:shout": Shout, "zeta:shout": other, "whisper": Whisper}
    assert plugins.find_transform("zeta:shout") is other
    with pytest.raises(UsageError) as error:
        plugins.find_transform("shout")
    assert str(error.value) == (
        "there are 2 steps called 'shout', of plugin 'acme' (acme-tools 1.0) and plugin 'zeta' "
        "(zeta-onnx 1.0); say acme:shout or zeta:shout"
    )


def test_objectives_clash_as_steps_do() -> None:
    other = type("Other", (Nothing,), {"__module__": __name__})
    plugins = Plugins(strict=True)
    plugins.add("acme", offering(objectives=[Nothing]))
    plugins.add("zeta", offering(objectives=[other]))
    assert plugins.objectives == {"acme:nothing": Nothing, "zeta:nothing": other}
    with pytest.raises(UsageError, match="there are 2 objectives called 'nothing', of plugin 'ac"):
        plugins.find_objective("nothing")
    with pytest.raises(UnknownNameError, match=r"no objective called 'noting'; did you mean '.*:n"):
        plugins.find_objective("noting")


def test_an_unknown_name_gets_the_nearest() -> None:
    plugins = Plugins(strict=True)
    plugins.add("acme", offering(Shout))
    with pytest.raises(UnknownNameError, match="no step called 'shuot'; did you mean 'shout'"):
        plugins.find_transform("shuot")
    with pytest.raises(UnknownNameError, match="did you mean 'acme:shout'"):
        plugins.find_transform("acme:shuot")
    with pytest.raises(UnknownNameError, match="no runtime called 'cuda'; known: none"):
        plugins.find_runtime("cuda")


# What breaks costs only itself.


@pytest.mark.parametrize("name", ["acme", "onnxpress"])
def test_a_name_can_be_taken_only_once(name: str) -> None:
    plugins = Plugins()
    installed(plugins, "acme", offering(Shout))
    with pytest.warns(PluginWarning, match=rf"failed at contract: the name '{name}' is taken by"):
        installed(plugins, name, offering(Whisper), distribution="thief")
    assert list(plugins.transforms) == ["shout"]


def test_a_hook_that_raises_costs_only_its_own_plugin() -> None:
    @hookimpl
    def onnxpress_transforms() -> list[type[Transform]]:
        raise ZeroDivisionError("boom")

    plugins = Plugins()
    installed(plugins, "acme", offering(Shout))
    broken = SimpleNamespace(onnxpress_transforms=onnxpress_transforms)
    installed(plugins, "broken", broken, distribution="broken-tools")
    with pytest.warns(PluginWarning) as warned:
        assert list(plugins.transforms) == ["shout"]
    assert [str(w.message) for w in warned] == [
        "plugin 'broken' (broken-tools 1.0) failed at onnxpress_transforms: ZeroDivisionError: "
        "boom; left out (ONNXPRESS_BLOCK=broken-tools silences this)"
    ]
    assert list(plugins.transforms) == ["shout"]  # and no second warning
    with pytest.raises(UnknownNameError, match=r"(?s)called 'mumble'.*ZeroDivisionError: boom"):
        plugins.find_transform("mumble")
    with pytest.raises(UnknownNameError) as error:
        plugins.find_runtime("mumble")  # the failure concerns steps only
    assert "boom" not in str(error.value)


@pytest.mark.parametrize(
    "error", [SystemExit(3), SyntaxError("no"), ImportError("no"), BaseException()]
)
def test_a_failing_import_is_recorded_whatever_is_raised(error: BaseException) -> None:
    def load() -> object:
        raise error

    plugins = Plugins()
    with pytest.warns(PluginWarning, match="plugin 'acme' .* failed at import: "):
        plugins.load(Entry(Origin("acme", "acme-tools", "1.0"), load))
    with pytest.raises(UnknownNameError, match="failed at import"):
        plugins.find_importer("acme-format")


def test_ctrl_c_during_an_import_is_not_swallowed() -> None:
    def load() -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Plugins().load(Entry(Origin("acme"), load))


def test_what_a_plugin_prints_while_loading_stays_out_of_our_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def load() -> object:
        sys.stdout.write("hello from acme")
        return offering(Shout)

    Plugins(strict=True).load(Entry(Origin("acme"), load))
    assert capsys.readouterr() == ("", "hello from acme")


def test_strict_raises_the_first_failure_with_its_cause() -> None:
    plugins = Plugins(strict=True)
    plugins.add("bad", offering("shout"))
    with pytest.raises(PluginError, match="failed at onnxpress_transforms: it returned 'shout'"):
        _ = plugins.transforms


# Taking part.


def test_a_step_runs_through_the_wrappers_and_the_host_answers_last() -> None:
    seen: list[str] = []

    class Watcher:
        @hookimpl(wrapper=True)
        def onnxpress_run_transform(self, transform: Transform) -> Generator[None, Model, Model]:
            seen.append(transform.name)
            after = yield
            seen.append(str(after.ir.graph.name))
            return after

    plugins = Plugins(strict=True)
    plugins.add("watcher", Watcher())
    before = model()
    assert plugins.run(Shout(times=2), before, Job()).ir.graph.name == "g!!"
    assert before.ir.graph.name == "g"
    assert seen == ["shout", "g!!"]


def test_a_plugin_may_answer_before_the_host() -> None:
    cached = model()

    @hookimpl
    def onnxpress_run_transform(transform: Transform) -> Model | None:
        return cached if transform.name == "whisper" else None

    plugins = Plugins(strict=True)
    plugins.add("cache", SimpleNamespace(onnxpress_run_transform=onnxpress_run_transform))
    assert plugins.run(Whisper(), model(), Job()) is cached
    assert plugins.run(Shout(), model(), Job()) is not cached


def test_what_a_step_raises_is_passed_on_as_it_is() -> None:
    class Crash(Shout):
        def apply(self, model: Model, job: Job) -> Model:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        Plugins().run(Crash(), model(), Job())


def test_a_step_that_returns_no_model_is_named() -> None:
    class Forgetful(Shout):
        def apply(self, model: Model, job: Job) -> Model:
            return None  # type: ignore[return-value]

    with pytest.raises(PluginError, match="step 'shout' returned None, which is no Model"):
        Plugins().run(Forgetful(), model(), Job())


def test_observers_are_told_and_one_that_raises_is_told_nothing_more() -> None:
    told: dict[str, list[object]] = {"good": [], "bad": []}

    class Good:
        @hookimpl
        def onnxpress_event(self, event: object) -> None:
            told["good"].append(event)

    class Bad:
        @hookimpl
        def onnxpress_event(self, event: object) -> None:
            told["bad"].append(event)
            raise OSError("the server is gone")

    plugins = Plugins()
    plugins.add("bad", Bad())
    plugins.add("good", Good())
    events = [Progress("calibrating", n, 3) for n in range(3)]
    with pytest.warns(PluginWarning, match="onnxpress_event: OSError: the server is gone"):
        plugins.notify(events[0])
    for event in events[1:]:  # a second warning would be an error
        plugins.notify(event)
    assert told == {"good": events, "bad": events[:1]}


def test_an_importer_that_fails_to_say_whether_it_accepts_does_not() -> None:
    class Broken(Anything):
        name: ClassVar[str] = "broken"

        def accepts(self, source: object) -> bool:
            raise ValueError("what is this?")

    plugins = Plugins()
    plugins.add("acme", offering(importers=[Broken, Anything]))
    with pytest.warns(PluginWarning, match="broken.accepts: ValueError: what is this"):
        assert list(plugins.accepting("anything")) == ["anything"]
    assert failed(plugins) == [
        "plugin 'acme' (added by hand) failed at broken.accepts: ValueError: what is this?"
    ]


# Discovery.


def test_our_own_plugins_load_without_a_failure() -> None:
    plugins = Plugins.discover(strict=True)
    described = {d["name"]: d for d in plugins.describe()}
    assert plugins.failures == ()
    assert {d["distribution"] for d in described.values()} >= {"onnxpress"}
    assert described["onnx"]["importers"] == ["onnx"]
    assert described["runtimes"]["runtimes"] == ["cpu"]


@pytest.mark.parametrize("blocked", ["onnx", "pruning, onnx", "ONNX", "onnxpress", "Onnxpress,"])
def test_a_blocked_plugin_is_left_out_listed_and_quoted(
    blocked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONNXPRESS_BLOCK", blocked)
    plugins = Plugins.discover(strict=True)
    assert "onnx" not in plugins.importers
    assert {d["name"]: d["status"] for d in plugins.describe()}["onnx"] == "blocked"
    with pytest.raises(UnknownNameError, match=r"plugin 'onnx' .* left out by ONNXPRESS_BLOCK"):
        plugins.find_importer("onnx")


def test_blocking_is_read_only_by_discover(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXPRESS_BLOCK", "acme")
    plugins = Plugins()
    plugins.add("acme", offering(Shout))
    assert list(plugins.transforms) == ["shout"]


def test_the_description_is_plain_data() -> None:
    plugins = Plugins()
    offered = offering(Shout, objectives=[Nothing], runtimes=[Nowhere], rules=[RULE])
    installed(plugins, "acme", offered)
    with pytest.warns(PluginWarning):
        installed(plugins, "empty", SimpleNamespace(), distribution="empty-tools")
    acme, empty = plugins.describe()
    assert acme == {
        "name": "acme",
        "distribution": "acme-tools",
        "version": "1.0",
        "status": "ready",
        "transforms": ["shout"],
        "objectives": ["nothing"],
        "importers": [],
        "runtimes": ["nowhere"],
        "rules": ["cost: com.acme.Rotary"],
        "failures": [],
    }
    assert empty["status"] == "failed"
    assert empty["failures"][0].startswith("contract: it implements no hook")


def test_a_name_stays_with_its_first_owner_even_if_that_one_failed() -> None:
    plugins = Plugins()
    with pytest.warns(PluginWarning, match="implements no hook"):
        installed(plugins, "acme", SimpleNamespace())
    with pytest.warns(PluginWarning, match=r"name 'acme' is taken by plugin 'acme' \(acme-tools"):
        installed(plugins, "acme", offering(Shout), distribution="thief")
    assert plugins.transforms == {}
