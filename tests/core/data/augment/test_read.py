from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from onnxpress.data.augment import (
    Augmentation,
    Augmentations,
    Crop,
    Custom,
    Flip,
    Mixup,
    read_augmentations,
)
from onnxpress.errors import OptionError, UnknownNameError, UsageError


def mine(feeds: Any, labels: Any, _rng: Any) -> Any:
    return feeds, labels


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_augment.py").write_text("def shake(feeds, labels, rng): return feeds, labels")


@pytest.mark.parametrize(
    "written",
    [
        "crop:padding=2,mode=reflect",
        {"use": "crop", "padding": 2, "mode": "reflect"},
        Crop(padding=2, mode="reflect"),
        ["crop:padding=2,mode=reflect"],
        ({"use": "crop", "padding": "2", "mode": "reflect"},),
    ],
)
def test_every_way_to_write_one_means_the_same(written: Any) -> None:
    assert read_augmentations(written) == (Crop(padding=2, mode="reflect"),)


def test_several_keep_their_order() -> None:
    read = read_augmentations(["flip", "own_augment:shake", mine, "mixup:alpha=0.4"])
    assert [augmentation.name for augmentation in read] == ["flip", "custom", "custom", "mixup"]
    assert read[3] == Mixup(alpha=0.4)
    assert isinstance(read[2], Custom)
    assert read[2].function is mine
    assert read_augmentations(None) == read_augmentations([]) == ()


WRONG: list[tuple[Any, type[Exception], str]] = [
    ("flpi", UnknownNameError, "there is no augmentation called 'flpi'; did you mean 'flip'"),
    ("crop:pading=3", UnknownNameError, "no option of crop called 'pading'; did you mean 'padd"),
    ("crop:padding=0", OptionError, "crop: padding is 0; it must be at least 1"),
    ("crop:padding", OptionError, "crop: write 'padding' as key=value"),
    ("flip:p=2", OptionError, "flip: p is 2; it must be at least 0 and at most 1"),
    ("flip:axis=horizontl", OptionError, "did you mean 'horizontal'"),
    ("crop:value=nan", OptionError, "crop: value is nan; it must be a finite number"),
    ("mixup:alpha=inf", OptionError, "mixup: alpha is inf; it must be a finite number"),
    ("own_augment:shak", UnknownNameError, "no name in own_augment called 'shak'.*'shake'"),
    ("nowhere:shake", UsageError, "neither a file nor a module 'nowhere'"),
    ({"padding": 3}, UsageError, "is no augmentation; give a text .*, a table with 'use'"),
    ({"use": "own_augment:shake", "p": 1}, UnknownNameError, "there is no augmentation called"),
    ([3], UsageError, "3 is no augmentation"),
    (3, UsageError, "3 is no augmentation"),
]


@pytest.mark.parametrize(("written", "kind", "message"), WRONG)
def test_what_is_written_wrong_is_said(written: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        read_augmentations(written)


def test_a_table_of_an_augmentation_can_be_read_again() -> None:
    read = read_augmentations(["flip:p=0.3", "crop", "own_augment:shake"])
    assert read_augmentations([augmentation.table() for augmentation in read]) == read


def test_an_option_that_takes_augmentations_reads_and_writes_them() -> None:
    class Train(BaseModel):
        augment: Augmentations = ()

    train = Train.model_validate({"augment": ["flip", {"use": "crop", "padding": 2}]})
    assert train.augment == (Flip(), Crop(padding=2))
    assert all(isinstance(augmentation, Augmentation) for augmentation in train.augment)
    assert Train.model_validate(train.model_dump(mode="json")) == train
