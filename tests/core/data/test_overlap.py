from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxpress.data import open_data, overlaps
from tests.core.data.models import taking

X = np.zeros((50, 4), np.float32)
MODEL = taking("float[N, 4] x")


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x_train=X, x_test=X)


def said(a: object, b: object) -> str | None:
    return overlaps(open_data(a, MODEL), open_data(b, MODEL))


@pytest.mark.parametrize(
    ("a", "b", "shared"),
    [
        ("?limit=10", "?limit=20", "share 10 samples"),
        ("?limit=10", "?offset=8", "share 2 samples"),
        ("?limit=10", "?offset=10", None),
        ("?shuffle=1&limit=25", "?shuffle=1&offset=25", None),
        ("?shuffle=1&limit=25", "?limit=50", "share 25 samples"),
        ("?shuffle=1", "?shuffle=2", "share 50 samples"),
    ],
)
def test_ranges_of_one_file_are_compared(a: str, b: str, shared: str | None) -> None:
    found = said(f"a.npz:input=x_train{a}", str(Path("a.npz").resolve()) + f":input=x_train{b}")
    assert (found or "").endswith(shared or "")
    assert (found is None) == (shared is None)


def test_other_arrays_and_other_files_share_nothing() -> None:
    np.savez("b.npz", x_train=X)
    assert said("a.npz:input=x_train", "a.npz:input=x_test") is None
    assert said("a.npz:input=x_train", "b.npz:input=x_train") is None


def test_the_same_object_is_found() -> None:
    data = open_data(X, MODEL)
    assert "the same data" in (overlaps(data, data) or "")
    loader = [X, X]
    assert "share all samples" in (said(loader, loader) or "")
    assert said([X], [X]) is None


def test_memory_in_common_is_found() -> None:
    assert "share 50 samples" in (said(X, (X, np.zeros(50, int))) or "")
    assert "share memory" in (said(X[:30], X[20:]) or "")
    assert said(X[:30], X[30:]) is None
    assert said(X[::2], X[1::2]) is None
    assert said(X, X.copy()) is None


def test_what_has_no_origin_shares_nothing() -> None:
    known, unknown = open_data(X, MODEL), open_data(X, MODEL)
    unknown.origin = None
    assert overlaps(known, unknown) is None
