"""The test kit passes what is good, and catches each thing that is not."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
from pydantic import Field, field_serializer

from onnxpress import Job, Model, Runtime, Transform
from onnxpress.contract import Availability, Executable
from onnxpress.data import Array, Feeds, open_data
from onnxpress.errors import PluginError
from onnxpress.installed import installed as installed_plugins
from onnxpress.testing import (
    check_importer,
    check_plugin,
    check_runtime,
    check_transform,
    model_from_text,
    small_classifier,
)
from onnxpress.testing.require import as_bytes
from tests import fakes
from tests.fakes import Anything, Nowhere, Shout, offering

MODEL = model_from_text(
    "g (float[N,4] x) => (float[N,3] y) { y = MatMul (x, w) }", w=np.eye(4, 3, dtype=np.float32)
)


# Models.


def test_a_model_from_text_runs() -> None:
    assert MODEL.opset == 21
    y = MODEL.run({"x": np.arange(8, dtype=np.float32).reshape(2, 4)})["y"]
    assert y.tolist() == [[0, 1, 2], [4, 5, 6]]


def test_a_header_may_name_other_domains() -> None:
    text = '<ir_version: 10, opset_import: ["": 20, "com.acme": 1]> g (float[2] x) => (float[2] y)'
    model = model_from_text(text + " { y = com.acme.Rotary (x) }")
    assert model.ir.opset_imports["com.acme"] == 1


def test_the_small_classifier_is_what_it_says() -> None:
    model = small_classifier()
    assert sum(layer.parameters for layer in model.layers) == 602
    assert model.run({"image": np.ones((5, 3, 16, 16), np.float32)})["scores"].shape == (5, 10)
    assert as_bytes(model) == as_bytes(small_classifier())
    assert as_bytes(model) != as_bytes(small_classifier(seed=1))


# Transforms.


class Halve(Transform):
    """Halve the weights."""

    name: ClassVar[str] = "halve"
    times: int = Field(default=1, ge=0, description="How often")

    def apply(self, model: Model, job: Job) -> Model:
        edit = model.edit()
        for layer in edit.layers:
            edit.set_weight(layer.weight, layer.weight.array() / 2**self.times)
            job.change(layer.name, times=self.times)
        return edit.done()


class InPlace(Halve):
    def apply(self, model: Model, job: Job) -> Model:
        model.ir.graph.name = "mine now"
        return model


class Nothing(Halve):
    def apply(self, model: Model, job: Job) -> Model:
        return None  # type: ignore[return-value]


class Renames(Halve):
    def apply(self, model: Model, job: Job) -> Model:
        edit = model.edit()
        edit.graph.outputs[0].name = "z"
        return edit.done()


class FixesBatch(Halve):
    def apply(self, model: Model, job: Job) -> Model:
        edit = model.edit()
        for value in (*edit.graph.inputs, *edit.graph.outputs):
            value.shape = ir.Shape([2, *list(value.shape or ())[1:]])
        return edit.done()


class Invalid(Halve):
    def apply(self, model: Model, job: Job) -> Model:
        edit = model.edit()
        next(iter(edit.graph)).op_type = "NoSuchOperator"
        return edit.done()


class OtherDomain(Halve):
    def apply(self, model: Model, job: Job) -> Model:
        edit = model.edit()
        node = next(iter(edit.graph))
        node.op_type, node.domain = "FusedMatMul", "com.microsoft"
        edit.ir.graph.opset_imports["com.microsoft"] = 1
        return edit.done()


class Dice(Halve):
    def apply(self, model: Model, job: Job) -> Model:
        edit = model.edit()
        weight = edit.layers[0].weight
        noise = np.random.default_rng().standard_normal(weight.shape)
        edit.set_weight(weight, noise.astype(np.float32))
        return edit.done()


class Silent(Halve):
    def apply(self, model: Model, job: Job) -> Model:
        job.decline("layer", " ")
        return model


class Unprintable(Halve):
    def apply(self, model: Model, job: Job) -> Model:
        job.change("layer", share=np.float32(0.5))
        return model


class Forgets(Halve):
    @field_serializer("times")
    def _one(self, times: int) -> int:
        return 1


BROKEN: dict[str, tuple[Transform, str]] = {
    "changes its input": (InPlace(), "halve changed the model it was given"),
    "returns nothing": (Nothing(), "returned None, not a Model"),
    "renames an output": (Renames(), "changed the outputs of the model from"),
    "fixes a dimension": (FixesBatch(), r"changed the inputs of the model from .*'N'"),
    "is no valid model": (Invalid(), "made a model that can't be used: .*NoSuchOperator"),
    "needs another domain": (OtherDomain(), r"added operators of \['com.microsoft'\]"),
    "is not reproducible": (Dice(), "made other bytes with the same seed"),
    "declines silently": (Silent(), "declined without subject or reason"),
    "reports no plain data": (Unprintable(), "what halve says about 'layer' can't be written"),
    "loses an option": (Forgets(times=2), r"with the options .* read them back as"),
}


def test_a_good_transform_passes_and_its_result_is_returned() -> None:
    result = check_transform(Halve(times=2), MODEL)
    assert result.layers[0].weight.array().max() == 0.25
    check_transform(Halve(), small_classifier())


@pytest.mark.parametrize("flaw", BROKEN)
def test_a_transform_that_breaks_a_law_is_caught(flaw: str) -> None:
    transform, message = BROKEN[flaw]
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        check_transform(transform, MODEL)


def test_data_seed_and_rules_reach_the_transform() -> None:
    seen: list[Job] = []

    class Looks(Halve):
        def apply(self, model: Model, job: Job) -> Model:
            seen.append(job)
            return model

    data = open_data([{"x": np.ones((3, 4), np.float32)}], MODEL)
    check_transform(Looks(), MODEL, data, seed=5)
    assert [(job.data, job.seed, job.rules) for job in seen] == [(data, 5, ())] * 2


# Runtimes.


class Session(Executable):
    def __init__(self, path: Path) -> None:
        self.session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, dict(feeds)), strict=True))


class Here(Runtime):
    name: ClassVar[str] = "here"

    @classmethod
    def probe(cls) -> Availability:
        return Availability(usable=True)

    def prepare(self, path: Path, threads: int) -> Executable:
        return Session(path)


class Panics(Here):
    @classmethod
    def probe(cls) -> Availability:
        raise OSError("no driver")


class Shrugs(Here):
    @classmethod
    def probe(cls) -> Availability:
        return Availability(usable=False)


class Off(Session):
    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        return {name: array + 1 for name, array in super().__call__(feeds).items()}


class Wide(Session):
    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        return {name: array.astype(float) for name, array in super().__call__(feeds).items()}


class Anonymous(Session):
    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        return {str(i): a for i, a in enumerate(super().__call__(feeds).values())}


class Vague(Session):
    @property
    def details(self) -> Mapping[str, Any]:
        return {"device": object()}


class Once(Session):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


def preparing(executable: type[Session]) -> type[Runtime]:
    class Prepares(Here):
        def prepare(self, path: Path, threads: int) -> Executable:
            return executable(path)

    return Prepares


def test_a_good_runtime_passes() -> None:
    assert check_runtime(Here).usable
    assert check_runtime(Here, MODEL).usable


def test_a_runtime_that_is_not_usable_must_only_say_why() -> None:
    assert check_runtime(Nowhere).reason == "it does not exist"


@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        (Panics, "here.probe raised OSError"),
        (Shrugs, "here is not usable and does not say why"),
        (preparing(Off), "Not equal to tolerance"),
        (preparing(Wide), r"returned 'scores' as float64 .* not float32"),
        (preparing(Anonymous), r"here returned \['0'\]"),
        (preparing(Vague), "the details of here can't be written as JSON"),
    ],
)
def test_a_bad_runtime_is_caught(runtime: type[Runtime], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_runtime(runtime)


def test_a_runtime_that_can_be_closed_only_once_is_caught() -> None:
    with pytest.raises(RuntimeError, match="closed already"):
        check_runtime(preparing(Once))


# Importers.


class Counting(Anything):
    counter: ClassVar[Iterator[int]] = itertools.count()

    def load(self, source: object, example_inputs: Any = None) -> Model:
        edit = MODEL.edit()
        edit.graph.name = f"g{next(self.counter)}"
        return edit.done()


class Greedy(Anything):
    def accepts(self, source: object) -> bool:
        return True


class Eager(Anything):
    def accepts(self, source: object) -> bool:
        import this_is_heavy  # type: ignore[import-not-found]  # noqa: F401

        return source == "anything"


def test_a_good_importer_passes() -> None:
    assert check_importer(Anything, "anything").outputs[0].name == "y"


def test_a_bad_importer_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "this_is_heavy.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for importer, message in (
        (Counting, "loaded other bytes the second time"),
        (Greedy, "anything accepts None"),
        (Eager, "accepts imported this_is_heavy"),
    ):
        with pytest.raises(AssertionError, match=message):
            check_importer(importer, "anything")
    with pytest.raises(AssertionError, match="does not accept 'something else'"):
        check_importer(Anything, "something else")


# Plugins.


def test_a_good_plugin_passes_as_object_module_or_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_for_test.py").write_text(
        "from onnxpress import hookimpl\n@hookimpl\ndef onnxpress_rules():\n    return []\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert check_plugin("acme_for_test").describe()[0]["name"] == "acme_for_test"
    assert check_plugin(sys.modules["acme_for_test"]).failures == ()
    assert list(check_plugin(offering(Halve)).transforms) == ["halve"]
    assert list(check_plugin("runtimes").runtimes) == ["cpu"]


@pytest.mark.parametrize("name", [e.origin.plugin for e in installed_plugins()])
def test_every_plugin_installed_here_is_a_good_one(name: str) -> None:
    check_plugin(name)


def test_what_the_host_would_only_warn_about_is_raised() -> None:
    with pytest.raises(PluginError, match="implements no hook"):
        check_plugin(SimpleNamespace())
    with pytest.raises(PluginError, match="not a subclass of Transform"):
        check_plugin(offering("halve"))
    with pytest.raises(ModuleNotFoundError):
        check_plugin("no_such_plugin")


class Undocumented(Transform):
    name: ClassVar[str] = "undocumented"

    def apply(self, model: Model, job: Job) -> Model:
        return model


class Greedier(Anything):
    def accepts(self, source: object) -> bool:
        return source != "anything"


def test_what_users_would_miss_is_caught() -> None:
    with pytest.raises(AssertionError, match="step 'undocumented' has no docstring"):
        check_plugin(offering(Undocumented))
    with pytest.raises(AssertionError, match="option 'times' of step 'shout' has no Field"):
        check_plugin(offering(Shout))
    with pytest.raises(AssertionError, match="option 'scale' of objective 'nothing' has no Field"):
        check_plugin(offering(objectives=[fakes.Nothing]))
    with pytest.raises(AssertionError, match="importer 'anything' accepts True for any object"):
        check_plugin(offering(importers=[Greedier]))
    with pytest.raises(AssertionError, match="does not say why"):
        check_plugin(offering(runtimes=[Shrugs]))
