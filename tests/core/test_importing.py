"""One door for every source of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

import onnxpress
from onnxpress import Importer, Model, Plugins
from onnxpress.errors import ModelError, PluginError, PluginWarning, UnknownNameError, UsageError
from onnxpress_onnx import OnnxImporter
from tests.fakes import Anything, model, offering


class AlsoAnything(Anything):
    name: ClassVar[str] = "also-anything"


class Crashing(Importer):
    name: ClassVar[str] = "crashing"

    def accepts(self, source: object) -> bool:
        return source == "crash"

    def load(self, source: object, example_inputs: Any = None) -> Model:
        raise KeyError("layer7")


class Empty(Anything):
    name: ClassVar[str] = "empty"

    def load(self, source: object, example_inputs: Any = None) -> Model:
        return None  # type: ignore[return-value]


def importers(*kinds: type[Importer]) -> Plugins:
    plugins = Plugins(strict=True)
    plugins.add("test", offering(importers=list(kinds)))
    return plugins


@pytest.fixture
def path(tmp_path: Path) -> Path:
    model().save(tmp_path / "relu.onnx")
    return tmp_path / "relu.onnx"


def test_a_model_is_returned_as_it_is() -> None:
    original = model()
    assert onnxpress.load(original, plugins=Plugins()) is original


def test_the_only_importer_that_accepts_loads() -> None:
    plugins = importers(OnnxImporter, Anything)
    assert onnxpress.load("anything", plugins=plugins).ir.graph.name == "g"


def test_example_inputs_reach_the_importer() -> None:
    class Tracing(Anything):
        def load(self, source: object, example_inputs: Any = None) -> Model:
            traced = model()
            traced.ir.graph.name = f"traced with {example_inputs}"
            return traced

    loaded = onnxpress.load("anything", example_inputs=[], plugins=importers(Tracing))
    assert loaded.ir.graph.name == "traced with []"


def test_without_plugins_all_installed_importers_are_asked(path: Path) -> None:
    assert onnxpress.load(path).path == path
    assert onnxpress.load(str(path)).outputs[0].name == "y"


def test_two_that_accept_is_an_error_that_lists_them_and_one_can_be_chosen() -> None:
    plugins = importers(Anything, AlsoAnything)
    with pytest.raises(
        UsageError, match="2 importers accept 'anything': also-anything, anything; say"
    ):
        onnxpress.load("anything", plugins=plugins)
    assert onnxpress.load("anything", importer="anything", plugins=plugins)


def test_none_that_accepts_is_an_error_that_lists_what_there_is(tmp_path: Path) -> None:
    plugins = importers(OnnxImporter, Anything)
    strange = tmp_path / "model.pb"
    strange.touch()
    with pytest.raises(
        UsageError, match=r"no importer accepts '.*model\.pb'; there are: anything, onnx"
    ):
        onnxpress.load(strange, plugins=plugins)
    with pytest.raises(UsageError, match=r"\(a directory\); there are: anything, onnx"):
        onnxpress.load(tmp_path, plugins=plugins)
    with pytest.raises(UsageError, match=r"accepts an object of type builtins\.dict"):
        onnxpress.load({}, plugins=plugins)


def test_a_plugin_that_failed_is_quoted_where_no_importer_accepts() -> None:
    plugins = Plugins()
    plugins.add("broken", offering(importers=["no class"]))
    with (
        pytest.warns(PluginWarning),
        pytest.raises(UsageError, match=r"(?s)accepts an object.*plugin 'broken' .* failed at"),
    ):
        onnxpress.load(3.5, plugins=plugins)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("relu.onxx", r"there is no file '.*relu\.onxx'; did you mean 'relu\.onnx'\?"),
        ("zzz.pb", r"there is no file '.*zzz\.pb'$"),
        ("nowhere/relu.pb", r"there is no folder '.*nowhere' either"),
        ("relu2.onnx", r"there is no file .*relu2\.onnx"),
        ("x" * 5000, "there is no file"),
    ],
)
def test_a_missing_file_is_named_with_its_neighbours(path: Path, wanted: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        onnxpress.load(path.parent / wanted, plugins=importers(OnnxImporter))


def test_an_unknown_importer_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no importer called 'onx'; did you mean 'onnx'"):
        onnxpress.load("m.onnx", importer="onx", plugins=importers(OnnxImporter))


def test_what_a_framework_raises_is_translated_and_kept() -> None:
    with pytest.raises(
        ModelError, match="'crashing' can't load 'crash': KeyError: 'layer7'"
    ) as error:
        onnxpress.load("crash", plugins=importers(Crashing))
    assert isinstance(error.value.__cause__, KeyError)


def test_an_importer_that_returns_no_model_is_named() -> None:
    with pytest.raises(PluginError, match="importer 'empty' returned None, which is no Model"):
        onnxpress.load("anything", plugins=importers(Empty))
