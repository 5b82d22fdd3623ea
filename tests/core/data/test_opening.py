from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxpress.data.batch import Data
from onnxpress.data.opening import open_data
from onnxpress.errors import DataError, OnnxpressError, OptionError, UsageError
from tests.core.data.models import taking

X = np.arange(40, dtype=np.float32).reshape(10, 4)
Y = np.arange(10)
MODEL = taking("float[N, 4] x")
TWO = taking("float[N, 4] a", "float[N, 4] b")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=X, y=Y)
    np.save("a.npy", X)
    (tmp_path / "h4_forms.py").write_text(
        "import numpy as np\n"
        "X = np.arange(40, dtype=np.float32).reshape(10, 4)\n"
        "def arrays(): return {'x': X, 'y': np.arange(10)}\n"
        "def nothing(): pass\n"
        "def number(): return 3\n"
        "def raises(): raise KeyError('no such split')\n"
        "def needs(split): return X\n"
    )
    return tmp_path


def arrays_of_a_function() -> tuple[Any, Any]:
    return X, Y


FORMS: list[Any] = [
    "a.npz",
    "a.npz:input=x,labels=y?limit=10",
    Path("a.npz"),
    {"path": "a.npz", "input": "x", "labels": "y"},
    {"path": "h4_forms:arrays", "limit": 10},
    (X, Y),
    {"x": X, "y": Y},
    {"limit": 10, "x": X, "y": Y},
    arrays_of_a_function,
    "h4_forms:arrays",
    "h4_forms:arrays:input=x,labels=y?offset=0",
]


def test_options_may_stand_beside_arrays() -> None:
    data = open_data({"limit": 4, "x": X, "labels": Y, "scale": "1/2", "mean": [1]}, MODEL)
    assert data.samples == 4
    feeds = next(iter(data)).feeds["x"]
    np.testing.assert_allclose(feeds, X[:4] / 2 - 1)
    with pytest.raises(OptionError, match="scale is one number or one per channel"):
        open_data({"x": X, "scale": "half"}, MODEL)


def test_an_input_may_be_called_like_an_option() -> None:
    feeds = next(iter(open_data({"scale": X}, taking("float[N, 4] scale")))).feeds
    np.testing.assert_array_equal(feeds["scale"], X)


@pytest.mark.parametrize("source", FORMS, ids=str)
def test_every_form_gives_the_same_labelled_data(source: Any) -> None:
    data = open_data(source, MODEL)
    assert (data.labelled, data.samples) == (True, 10)
    batch = next(iter(data))
    np.testing.assert_array_equal(batch.feeds["x"], X)
    np.testing.assert_array_equal(batch.labels, Y)
    assert open_data(data, MODEL) is data


@pytest.mark.parametrize("source", ["a.npy", X, (X,), {"x": X}])
def test_arrays_without_labels(source: Any) -> None:
    data = open_data(source, MODEL)
    assert (data.labelled, data.samples) == (False, 10)


def test_names_say_what_was_asked() -> None:
    names = [open_data(s, MODEL).name for s in ("a.npz?limit=3", "h4_forms:arrays?limit=2", X, [X])]
    assert names == ["a.npz?limit=3", "h4_forms:arrays?limit=2", "arrays", "list of batches"]


def test_labels_that_were_guessed_are_noted() -> None:
    assert open_data("a.npz", MODEL).notes == ("array 'y' holds the labels",)
    assert open_data("a.npz:labels=y", MODEL).notes == ()


def test_a_tuple_is_one_set_and_a_list_is_batches() -> None:
    assert open_data((X, X), TWO).samples == 10
    assert sum(batch.size for batch in open_data([X, X], MODEL)) == 20


WRONG: list[tuple[Any, type[OnnxpressError], str]] = [
    ("absent.npz", UsageError, "no file or folder 'absent.npz'"),
    ("h4_forms.py", UsageError, "h4_forms.py can't be read as data: known are"),
    ("a.npz?size=4", OptionError, "size is for folders of images"),
    ("a.npz?limit=0", OptionError, "limit=0"),
    ("a.npz:labels=z", UsageError, "array in a.npz:labels=z called 'z'"),
    ("a.npy:labels=y", UsageError, "array in a.npy:labels=y called 'y'"),
    ("h4_forms:nothing", DataError, "h4_forms:nothing returned None; it should return"),
    ("h4_forms:number", DataError, "h4_forms:number: an object of type int can't feed a model"),
    ("h4_forms:raises", DataError, "h4_forms:raises, called .*, raised KeyError: 'no such split'"),
    ("h4_forms:needs", DataError, "h4_forms:needs, called without arguments, raised TypeError"),
    ("h4_forms:arays", UsageError, "called 'arays'; did you mean 'arrays'"),
    ("h4_absent:f", UsageError, "neither a file nor a module 'h4_absent'"),
    (None, DataError, "an object of type NoneType can't feed a model"),
    ({}, DataError, "an object of type dict can't feed a model"),
    ({"pth": "a.npz"}, UsageError, "a table of data needs a path, as text; it has pth"),
    ({"path": 3}, UsageError, "a table of data needs a path, as text; it has path"),
    ([1, 2], DataError, "batch 0: 'x' is a single value, not an array of samples"),
    ({"x": [[1.0], [2.0, 3.0]]}, DataError, "arrays: 'x' can't be read as an array"),
    ((X, Y[:3]), DataError, "arrays: array 'labels' does not fit: 3 labels for 10 samples"),
]


@pytest.mark.parametrize(("source", "kind", "message"), WRONG, ids=str)
def test_what_is_wrong_is_said(source: Any, kind: type[OnnxpressError], message: str) -> None:
    with pytest.raises(kind, match=message):
        open_data(source, MODEL)


@pytest.mark.slow
def test_resnet20_reaches_its_published_accuracy(shared: Path) -> None:
    from onnxpress.graph.model import Model
    from onnxpress.metrics import evaluate, open_metric
    from onnxpress.session import Session

    model = Model.load(shared / "models/cifar10_resnet20/resnet20.onnx")
    spec = (
        f"{shared}/data/cifar10_test.npz:input=x,labels=y?scale=1/255"
        "&mean=.485,.456,.406&std=.229,.224,.225&layout=nchw"
    )
    data: Data = open_data(spec, model)
    session = Session(model)
    score = evaluate(session.run, data, open_metric("top-1", session.outputs))
    assert score == ("top-1", 0.9173, 10_000)
