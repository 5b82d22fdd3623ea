from __future__ import annotations

import sys
from pathlib import Path

import pytest

from onnxpress.data.callables import import_callable
from onnxpress.errors import DataError, UnknownNameError, UsageError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "h4_pack").mkdir()
    (tmp_path / "h4_pack/good.py").write_text(
        "def train(): return 3\nclass Data:\n  make = train\nK = 1"
    )
    (tmp_path / "h4_pack/bad.py").write_text("1 / 0")
    (tmp_path / "h4_pack/needy.py").write_text("import h4_absent")
    return tmp_path


def test_modules_of_the_current_folder_are_found() -> None:
    before = list(sys.path)
    assert import_callable("h4_pack.good:train")() == 3
    assert import_callable("h4_pack.good:Data.make")() == 3
    assert sys.path == before


def test_a_misspelt_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"name in h4_pack\.good called 'trian'.* 'train'"):
        import_callable("h4_pack.good:trian")


def test_what_can_not_be_called_is_said() -> None:
    with pytest.raises(UsageError, match=r"h4_pack\.good:K is int, and can't be called"):
        import_callable("h4_pack.good:K")


@pytest.mark.parametrize("name", ["h4_nowhere", "h4_pack.nowhere", "h4_nowhere.at.all"])
def test_a_missing_module_is_said(name: str) -> None:
    with pytest.raises(UsageError, match=f"neither a file nor a module '{name}'"):
        import_callable(f"{name}:f")


@pytest.mark.parametrize(("name", "cause"), [("bad", "ZeroDivisionError"), ("needy", "h4_absent")])
def test_a_module_that_fails_is_quoted(name: str, cause: str) -> None:
    with pytest.raises(DataError, match=f"module h4_pack.{name} can't be imported: .*{cause}"):
        import_callable(f"h4_pack.{name}:f")
