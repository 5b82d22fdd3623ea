from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onnxpress.data.opening import open_data
from onnxpress.errors import DataError, OptionError, UsageError
from tests.core.data.models import images, taking

RNG = np.random.default_rng(0)


def pixels(height: int = 8, width: int = 8) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return RNG.integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, count in (("dog", 1), ("cat", 3), ("emu", 2)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(pixels()).save(tmp_path / f"images/{name}/{i}.png")
    (tmp_path / "images/cat/notes.txt").write_text("no image")
    (tmp_path / "images/.hidden").mkdir()
    return tmp_path / "images"


def test_labels_are_sorted_class_names_and_classes_take_turns(folder: Path) -> None:
    data = open_data(folder, images())
    batch = next(iter(data))
    assert batch.labels is not None
    assert batch.labels.tolist() == [0, 1, 2, 0, 2, 0]
    assert data.notes == ("3 classes in the order of their names: 0 = cat, 1 = dog, 2 = emu",)
    for image, name in zip(batch.feeds["x"], ("cat/0", "dog/0", "emu/0", "cat/1"), strict=False):
        stored = np.asarray(Image.open(folder / f"{name}.png"))
        np.testing.assert_array_equal(image, stored.transpose(2, 0, 1))


def test_images_fit_the_model_whatever_its_layout(folder: Path) -> None:
    first = next(iter(open_data(folder, images()))).feeds["x"]
    last = next(iter(open_data(folder, taking("float[N, 8, 8, 3] x")))).feeds["x"]
    np.testing.assert_array_equal(first.transpose(0, 2, 3, 1), last)
    assert (
        next(iter(open_data(folder, taking("float[N, C, H, W] x")))).feeds["x"].shape == first.shape
    )
    dynamic = open_data(f"{folder}?layout=nhwc", taking("float[N, H, W, C] x"))
    np.testing.assert_array_equal(next(iter(dynamic)).feeds["x"], last)


def test_models_of_grey_images_get_grey_ones(folder: Path) -> None:
    grey = next(iter(open_data(folder, taking("float[N, 1, 8, 8] x")))).feeds["x"]
    assert grey.shape == (6, 1, 8, 8)
    flat = next(iter(open_data(folder, taking("float[N, 8, 8] x")))).feeds["x"]
    np.testing.assert_array_equal(grey[:, 0], flat)


def test_options_hold_for_images_too(folder: Path) -> None:
    plain = next(iter(open_data(folder, images()))).feeds["x"]
    data = open_data(f"{folder}?limit=4&offset=1&batch=3&scale=1/255&mean=.1,.2,.3", images())
    first, second = data
    expected = plain / 255 - np.array([0.1, 0.2, 0.3]).reshape(3, 1, 1)
    np.testing.assert_allclose(first.feeds["x"], expected[1:4], atol=1e-6)
    np.testing.assert_allclose(second.feeds["x"], expected[4:5], atol=1e-6)
    shuffled = open_data(f"{folder}?shuffle=1", images())
    assert sorted(next(iter(shuffled)).labels.tolist()) == [0, 0, 0, 1, 2, 2]  # type: ignore[union-attr]


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(pixels()).save(tmp_path / f"{i}.png")
    data = open_data(tmp_path, images())
    assert (data.labelled, data.samples) == (False, 3)


def test_size_scales_one_side_to_fit_and_cuts_out_the_middle(tmp_path: Path) -> None:
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 200
    Image.fromarray(wide).save(tmp_path / "a.png")
    middle = next(iter(open_data(f"{tmp_path}?size=8,8", images()))).feeds["x"]
    assert (middle == 200).all()
    half = next(iter(open_data(f"{tmp_path}?size=4", images(4)))).feeds["x"]
    assert half.shape == (1, 3, 4, 4)
    closer = next(iter(open_data(f"{tmp_path}?size=8&resize=16", images()))).feeds["x"]
    assert (closer == 200).all()


def test_an_image_of_another_size_gets_the_option(folder: Path) -> None:
    Image.fromarray(pixels(6, 9)).save(folder / "cat/2.png")
    data = open_data(folder, images())
    with pytest.raises(DataError, match=r"cat/2\.png is 6 × 9 pixels where 8 × 8.*size=8,8"):
        list(data)
    assert open_data(f"{folder}?size=8,8", images()).samples == 6


def test_a_damaged_image_is_named(folder: Path) -> None:
    good = (folder / "cat/1.png").read_bytes()
    for content in (good[:60], b"no image at all", b""):
        (folder / "cat/1.png").write_bytes(content)
        with pytest.raises(DataError, match=r"cat/1\.png is no readable image"):
            list(open_data(folder, images()))


def test_deep_images_are_refused_not_clipped(folder: Path) -> None:
    Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(folder / "cat/1.png")
    with pytest.raises(DataError, match=r"cat/1\.png has more than 8 bits a channel"):
        list(open_data(folder, images()))


def test_folders_that_are_unclear_or_empty_are_said(folder: Path, tmp_path: Path) -> None:
    Image.fromarray(pixels()).save(folder / "stray.png")
    with pytest.raises(DataError, match="images beside folders of images"):
        open_data(folder, images())
    (tmp_path / "empty/sub").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no images"):
        open_data(tmp_path / "empty", images())


def test_models_that_take_no_image_are_said(folder: Path) -> None:
    with pytest.raises(UsageError, match="has several: a, b"):
        open_data(folder, taking("float[N, 3, 8, 8] a", "float[N, 3, 8, 8] b"))
    with pytest.raises(UsageError, match="which is no image"):
        open_data(folder, taking("float[N, 8] x"))
    with pytest.raises(UsageError, match="images have 1 or 3 channels"):
        open_data(folder, taking("float[N, 4, 8, 8] x"))
    with pytest.raises(OptionError, match="no arrays to name with labels"):
        open_data(f"{folder}:labels=y", images())


def test_without_pillow_the_command_is_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UsageError, match=r"pip install 'onnxpress\[images\]'"):
        list(open_data(folder, images()))
