from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxpress.data.columns import open_npy, open_npz
from onnxpress.errors import DataError

RNG = np.random.default_rng(0)
ARRAYS: dict[str, Any] = {
    "pixels": RNG.integers(0, 255, (50, 4, 3), np.uint8),
    "floats": RNG.standard_normal((50, 7)),
    "fortran": np.asfortranarray(RNG.standard_normal((50, 7)).astype(">f4")),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(("start", "stop"), [(0, 50), (3, 17)])
def test_rows_are_those_that_were_saved(
    tmp_path: Path, save: Callable[..., None], start: int, stop: int
) -> None:
    save(tmp_path / "a.npz", **ARRAYS)
    columns = open_npz(tmp_path / "a.npz")
    assert {n: (c.shape, c.dtype) for n, c in columns.items()} == {
        n: (a.shape, a.dtype) for n, a in ARRAYS.items()
    }
    for name, array in ARRAYS.items():
        loaded = columns[name].load(start, stop)
        np.testing.assert_array_equal(loaded[:], array[start:stop])
        np.testing.assert_array_equal(loaded[np.array([2, 0])], array[start:][[2, 0]])


def test_what_is_stored_plainly_is_mapped_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **ARRAYS)
    np.save(tmp_path / "a.npy", ARRAYS["pixels"])
    assert isinstance(open_npz(tmp_path / "a.npz")["pixels"].load(0, 9), np.memmap)
    only = open_npy(tmp_path / "a.npy")["a.npy"].load(2, 9)
    assert isinstance(only, np.memmap)
    np.testing.assert_array_equal(only, ARRAYS["pixels"][2:9])


def test_no_more_of_a_compressed_member_is_kept_than_is_used(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((1000, 1000), np.uint8))
    loaded: Any = open_npz(tmp_path / "a.npz")["x"].load(10, 20)
    assert loaded.nbytes == 10 * 1000


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def garbage(path: Path) -> None:
    path.write_bytes(b"not an archive" * 20)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncated, garbage, empty])
def test_a_damaged_file_is_named(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((100, 100)))
    np.save(tmp_path / "a.npy", np.zeros((100, 100)))
    for path, opener in ((tmp_path / "a.npz", open_npz), (tmp_path / "a.npy", open_npy)):
        damage(path)
        with pytest.raises(DataError, match=f"{path.name} can't be read as arrays"):
            opener(path)


def test_damage_inside_a_member_is_found_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=RNG.standard_normal((500, 10)))
    content = bytearray(path.read_bytes())
    content[5000:5100] = bytes(100)
    path.write_bytes(content)
    column = open_npz(path)["x"]
    with pytest.raises(DataError, match=r"a\.npz can't be read as arrays"):
        column.load(0, 500)


def test_a_header_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((100, 4)))
    cut = (tmp_path / "x.npy").read_bytes()[:-8]
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", cut)
    with pytest.raises(DataError, match="cut off: 3192 of 3200 bytes"):
        open_npz(tmp_path / "a.npz")


def test_an_archive_without_arrays_is_said(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DataError, match="holds no arrays"):
        open_npz(tmp_path / "a.npz")


def test_objects_are_seen_but_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([print, "a"], object))
    assert open_npz(tmp_path / "a.npz")["x"].dtype.hasobject
