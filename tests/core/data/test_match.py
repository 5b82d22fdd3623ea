from __future__ import annotations

import numpy as np
import pytest

from onnxpress.data.batch import Array
from onnxpress.data.match import match
from onnxpress.data.signature import Signature
from onnxpress.errors import DataError, UnknownNameError, UsageError
from tests.core.data.models import taking

ONE = Signature.of(taking("float[N, 4] image_in")).inputs
TWO = Signature.of(taking("int64[N, 4] ids", "int64[N, 4] mask")).inputs


def arrays(*names: str, **more: Array) -> dict[str, Array]:
    return {**{name: np.zeros((3, 4), np.float32) for name in names}, **more}


@pytest.mark.parametrize(
    ("names", "chosen", "labels"),
    [
        (["pixels"], "pixels", None),
        (["pixels", "y"], "pixels", "y"),
        (["x", "z", "labels"], "x", "labels"),
        (["image_in", "x", "y"], "image_in", "y"),
        (["x_train", "y_train"], "x_train", "y_train"),
        (["X", "Y"], "X", "Y"),
    ],
)
def test_the_only_input_takes_what_is_plain(
    names: list[str], chosen: str, labels: str | None
) -> None:
    matching = match(arrays(*names), ONE, {}, "a.npz")
    assert matching.inputs == {"image_in": chosen}
    assert matching.labels == labels


def test_text_is_never_taken_unasked() -> None:
    found = match(arrays("x", class_names=np.array(["cat", "dog"])), ONE, {}, "a.npz")
    assert (found.inputs, found.labels) == ({"image_in": "x"}, None)


def test_what_is_asked_for_counts_first() -> None:
    asked = {"input": "z", "labels": "x"}
    found = match(arrays("x", "y", "z"), ONE, asked, "a.npz")
    assert (found.inputs, found.labels) == ({"image_in": "z"}, "x")
    assert match(arrays("x", "z"), ONE, {"image_in": "z"}, "a").inputs == {"image_in": "z"}


def test_labels_go_with_the_input_of_the_same_ending() -> None:
    all_four = arrays("x_train", "y_train", "x_test", "y_test")
    assert match(all_four, ONE, {"input": "x_test"}, "a.npz").labels == "y_test"


def test_several_inputs_are_matched_by_name() -> None:
    found = match(arrays("mask", "ids", "y"), TWO, {}, "a.npz")
    assert (found.inputs, found.labels) == ({"ids": "ids", "mask": "mask"}, "y")
    assert match(arrays("a", "mask"), TWO, {"ids": "a"}, "a.npz").inputs["ids"] == "a"


def test_what_is_unclear_is_listed() -> None:
    with pytest.raises(UsageError) as caught:
        match(arrays("x_train", "x_test"), ONE, {}, "a.npz:labels=y?limit=3")
    lines = str(caught.value).splitlines()
    assert "which array feeds 'image_in' (float32[N, 4])" in lines[0]
    assert lines[1:3] == ["  x_train (3, 4) float32", "  x_test (3, 4) float32"]
    assert "input=x_train" in lines[3]


def test_inputs_without_an_array_are_named() -> None:
    with pytest.raises(UsageError, match=r"which array feeds 'mask' \(int64\[N, 4\]\)"):
        match(arrays("ids", "maks"), TWO, {}, "a.npz")


def test_two_arrays_that_could_be_labels_are_named() -> None:
    with pytest.raises(UsageError, match="'y' and 'label' could both be labels"):
        match(arrays("x", "y", "label"), ONE, {}, "a.npz")


def test_an_unknown_key_gets_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match="no data key called 'imput'; did you mean 'input'"):
        match(arrays("x"), ONE, {"imput": "x"}, "a.npz")
    with pytest.raises(UnknownNameError, match="limit is an option: write it after '\\?'"):
        match(arrays("x"), ONE, {"limit": "5"}, "a.npz")
    with pytest.raises(UnknownNameError, match="no data key called 'input'"):
        match(arrays("ids", "mask"), TWO, {"input": "ids"}, "a.npz")


def test_an_unknown_array_gets_the_nearest_names() -> None:
    with pytest.raises(
        UnknownNameError, match=r"array in a\.npz called 'imags'; did you mean 'images'"
    ):
        match(arrays("images"), ONE, {"input": "imags"}, "a.npz")


@pytest.mark.parametrize(
    ("dtype", "message"), [(object, "never unpickled"), ("U3", "is <U3, not numbers")]
)
def test_objects_and_text_are_refused(dtype: str, message: str) -> None:
    with pytest.raises(DataError, match=f"array 'y' .*{message}"):
        match(arrays("x", y=np.zeros(3, dtype)), ONE, {"labels": "y"}, "a.npz")


def test_objects_are_listed_as_what_they_are() -> None:
    objects = np.zeros(3, object)
    with pytest.raises(UsageError, match=r"x \(3,\) Python objects, never read"):
        match({"x": objects, "z": objects}, ONE, {}, "a.npz")
    with pytest.raises(DataError, match="array 'x' holds Python objects"):
        match({"x": objects}, ONE, {}, "a.npz")
