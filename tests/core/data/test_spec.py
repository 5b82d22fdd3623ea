from __future__ import annotations

from pathlib import Path

import pytest

from onnxpress.data.spec import parse_spec, parse_table
from onnxpress.errors import OptionError, UsageError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "train.npz"
    path.touch()
    return path


def test_the_whole_grammar(file: Path) -> None:
    request = parse_spec("train.npz:ids=a,mask=b,labels=y?limit=8&mean=.4,.5&scale=1/255")
    assert (request.place, request.is_path) == ("train.npz", True)
    assert request.arrays == {"ids": "a", "mask": "b", "labels": "y"}
    assert request.options == {"limit": "8", "mean": ".4,.5", "scale": "1/255"}


def test_each_part_may_be_left_out(file: Path) -> None:
    assert parse_spec("train.npz").arrays == parse_spec("train.npz").options == {}
    assert parse_spec("train.npz?limit=1").options == {"limit": "1"}
    assert parse_spec("train.npz:input=x").arrays == {"input": "x"}


def test_the_name_is_the_file_and_what_was_asked_of_it(file: Path) -> None:
    assert parse_spec(f"{file}:input=x?limit=4").text == "train.npz:input=x?limit=4"
    table = {"path": file, "input": "x", "limit": 4, "mean": [0.4, 0.5]}
    assert parse_table(table).text == "train.npz:input=x?limit=4&mean=0.4,0.5"


def test_the_longest_path_that_exists_wins(file: Path) -> None:
    odd = file.with_name("train.npz:input=x?limit=1")
    assert parse_spec(odd.name).arrays == {"input": "x"}
    odd.touch()
    assert parse_spec(odd.name).place == odd.name
    folder = file.with_name("C:data?")
    folder.mkdir()
    (folder / "a=b.npz").touch()
    request = parse_spec("C:data?/a=b.npz:labels=y?limit=2")
    assert (request.place, dict(request.arrays)) == ("C:data?/a=b.npz", {"labels": "y"})


def test_input_names_may_hold_colons(file: Path) -> None:
    assert parse_spec("train.npz:serving_default:0=x").arrays == {"serving_default:0": "x"}


def test_a_callable_is_known_by_its_shape(file: Path) -> None:
    request = parse_spec("my_package.data:Train.make?limit=4")
    assert (request.place, request.is_path) == ("my_package.data:Train.make", False)
    assert request.options == {"limit": "4"}
    assert parse_spec("data:make:input=x").arrays == {"input": "x"}


def test_a_table_says_the_same_as_a_spec(file: Path) -> None:
    table = {"path": "train.npz", "input": "x", "labels": "y", "limit": 256}
    request = parse_table(table)
    assert request.arrays == {"input": "x", "labels": "y"}
    assert request.options == {"limit": 256}


def test_what_is_none_in_a_table_is_not_given(file: Path) -> None:
    request = parse_table({"path": "train.npz", "labels": None, "limit": None})
    assert request.arrays == request.options == {}


def test_inputs_called_like_options_go_into_a_table_of_their_own(file: Path) -> None:
    request = parse_table({"path": "train.npz", "inputs": {"scale": "s"}, "scale": 2})
    assert request.arrays == {"scale": "s"}
    assert request.options == {"scale": 2}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("train.npz:input", "'input' is not written as key=value"),
        ("train.npz:input=", "'input=' is not written as key=value"),
        ("train.npz?limit", "'limit' is not written as key=value"),
        ("train.npz?limit=1&limit=2", "'limit' is given twice"),
        ("train.npz:input=a,input=b", "'input' is given twice"),
    ],
)
def test_what_is_not_written_right_is_quoted(file: Path, spec: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_spec(spec)


@pytest.mark.parametrize("spec", ["trian.npz", "trian.npz?limit=3", "trian.npz:input=x?limit=3"])
def test_a_missing_file_gets_the_nearest_names(file: Path, spec: str) -> None:
    with pytest.raises(UsageError, match=r"no file or folder 'trian\.npz'.*mean 'train\.npz'"):
        parse_spec(spec)


def test_a_missing_folder_and_an_empty_path_are_said(file: Path) -> None:
    with pytest.raises(UsageError, match=r"no folder 'nowhere' to read the data 'a\.npz'"):
        parse_spec("nowhere/a.npz")
    with pytest.raises(UsageError, match="has no path"):
        parse_spec("")
    with pytest.raises(UsageError, match="no file or folder"):
        parse_spec("n" * 5000)


def test_a_table_with_a_misspelt_option_says_which_it_may_be(file: Path) -> None:
    with pytest.raises(
        OptionError, match="'limt' should name an array, not be 5; did you mean 'limit'"
    ):
        parse_table({"path": "train.npz", "limt": 5})
