from __future__ import annotations

import numpy as np
import pytest

from onnxpress.data.augment.inputs import boxes, find_floats, find_images, refuse_pixel_labels
from onnxpress.data.batch import Batch
from onnxpress.data.options import Layout
from onnxpress.errors import UnknownNameError, UsageError

IMAGE = np.zeros((2, 3, 8, 8), np.float32)
IDS = np.zeros((2, 5), np.int64)


@pytest.mark.parametrize(
    ("shape", "layout", "channel"),
    [
        ((2, 3, 8, 8), None, 1),
        ((2, 8, 8, 3), None, 3),
        ((2, 8, 8, 1), None, 3),
        ((2, 1, 8, 1), None, 1),
        ((2, 16, 8, 8), None, 1),
        ((2, 8, 8, 16), None, 1),
        ((2, 8, 8, 16), "nhwc", 3),
        ((2, 8, 8, 3), "nchw", 1),
    ],
)
def test_the_axis_of_channels_is_found_or_asked_for(
    shape: tuple[int, ...], layout: Layout | None, channel: int
) -> None:
    images = find_images(Batch({"x": np.zeros(shape)}), None, layout, "flip")
    assert images.channel == channel
    assert (images.height, images.width) == ((1, 2) if channel == 3 else (2, 3))
    assert images.sides == (shape[images.height], shape[images.width])


def test_the_only_image_is_found_among_other_inputs() -> None:
    assert find_images(Batch({"ids": IDS, "x": IMAGE}), None, None, "flip").name == "x"
    both = Batch({"left": IMAGE, "right": IMAGE})
    assert find_images(both, "right", None, "flip").name == "right"
    assert find_floats(Batch({"ids": IDS, "x": IMAGE}), None, "noise") == "x"


def test_what_is_no_image_is_listed() -> None:
    rows = Batch({"ids": IDS, "rows": np.zeros((2, 4), np.float32)})
    with pytest.raises(UsageError) as caught:
        find_images(rows, None, None, "flip")
    assert str(caught.value) == (
        "flip changes images (floats with 4 axes), and there are none: 'ids' is int64[2, 5], "
        "'rows' is float32[2, 4]"
    )
    with pytest.raises(UsageError, match=r"there are none: 'x' is uint8\[2, 3, 8, 8\]"):
        find_images(Batch({"x": IMAGE.astype(np.uint8)}), "x", None, "flip")


def test_several_images_must_be_told_apart() -> None:
    both = Batch({"left": IMAGE, "right": IMAGE})
    with pytest.raises(UsageError, match=r"several inputs hold some: 'left' .* add input=left"):
        find_images(both, None, None, "flip")
    with pytest.raises(UnknownNameError, match="no input called 'lef'; did you mean 'left'"):
        find_images(both, "lef", None, "flip")


def test_labels_that_would_have_to_move_too_are_refused() -> None:
    for labels in (None, np.zeros(2), np.zeros((2, 10))):
        refuse_pixel_labels(labels, "crop")
    with pytest.raises(UsageError, match=r"crop moves pixels, and labels int64\[2, 8, 8\]"):
        refuse_pixel_labels(np.zeros((2, 8, 8), np.int64), "crop")


def test_boxes_end_at_the_edges() -> None:
    inside = boxes(np.array([0, 3, 5, 2]), np.array([4, 3, 4, 0]), 6)
    assert [np.flatnonzero(row).tolist() for row in inside] == [[0, 1], [2, 3, 4], [3, 4, 5], []]
