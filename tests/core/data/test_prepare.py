from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxpress.data.batch import Array
from onnxpress.data.options import Options
from onnxpress.data.prepare import Preparation, preparations
from onnxpress.data.signature import Input, Signature
from onnxpress.errors import DataError, OptionError

F32, F64, F16 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RNG = np.random.default_rng(0)


def prepare(array: Array, shape: tuple[Any, ...], dtype: Any = F32, **options: Any) -> Array:
    preparation = Preparation(Input("x", np.dtype(dtype), shape), Options(**options))
    return preparation.plan(array.shape, array.dtype, f"array 'a' {array.shape}").apply(
        array, "batch 0"
    )


@pytest.mark.parametrize("layout", ["nchw", None])
def test_values_become_x_scale_minus_mean_over_std(layout: str | None) -> None:
    pixels = RNG.integers(0, 256, (5, 6, 7, 3), np.uint8)
    shape = ("N", 3, 6, 7) if layout else ("N", 6, 7, 3)
    found = prepare(pixels, shape, scale=(1 / 255,), mean=MEAN, std=STD, layout=layout)
    exact = (pixels / 255 - np.array(MEAN)) / np.array(STD)
    np.testing.assert_allclose(found, exact.transpose(0, 3, 1, 2) if layout else exact, atol=2e-6)
    assert found.dtype == F32
    assert found.flags.c_contiguous


def test_layout_turns_images_both_ways() -> None:
    images = RNG.standard_normal((2, 4, 5, 3)).astype(F32)
    turned = prepare(images, ("N", 3, 4, 5), layout="nchw")
    np.testing.assert_array_equal(turned, images.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(prepare(turned, ("N", 4, 5, 3), layout="nhwc"), images)


@pytest.mark.parametrize("shape", [("N", 1, 28, 28), ("N", 28, 28, 1), (None, 1, None, None)])
def test_a_missing_channel_axis_is_put_in(shape: tuple[Any, ...]) -> None:
    grey = RNG.standard_normal((3, 28, 28)).astype(F32)
    found = prepare(grey, shape)
    assert found.shape == (3, *(d or 28 for d in shape[1:]))
    np.testing.assert_array_equal(found.reshape(grey.shape), grey)


def test_it_is_not_put_in_where_two_places_are_possible() -> None:
    with pytest.raises(DataError, match=r"array 'a' \(3, 5\).*2 axes where 3 are wanted"):
        prepare(np.zeros((3, 5), F32), ("N", 1, 1))


def test_the_batch_is_a_copy() -> None:
    array = np.zeros((2, 3), F32)
    prepare(array, ("N", 3))[:] = 1
    assert not array.any()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (np.uint8, F32),
        (np.int64, F32),
        (F16, F32),
        (F32, F64),
        (np.int32, np.int64),
        (">f4", F32),
        (bool, F32),
    ],
)
def test_what_loses_nothing_is_converted(given: Any, wanted: Any) -> None:
    assert prepare(np.ones((2, 3), given), ("N", 3), wanted).dtype == wanted


@pytest.mark.parametrize(
    ("given", "wanted", "advice"),
    [
        (F64, F32, "astype, or with the option scale=1"),
        (F32, np.int64, "astype$"),
        (np.int64, np.int32, "astype$"),
        (np.int8, np.uint8, "astype$"),
        (np.complex64, F32, "astype$"),
    ],
)
def test_what_could_lose_something_is_refused(given: Any, wanted: Any, advice: str) -> None:
    with pytest.raises(DataError, match=f"array 'a' .* is .*input 'x' takes .*{advice}"):
        prepare(np.ones((2, 3), given), ("N", 3), wanted)


def test_complex_numbers_are_refused_even_where_something_is_computed() -> None:
    with pytest.raises(DataError, match="is complex64"):
        prepare(np.ones((2, 3), np.complex64), ("N", 3), scale=(1.0,))


def test_integer_models_get_what_was_computed_rounded_half_to_even() -> None:
    pixels = np.array([[0, 127, 255]], np.uint8)
    assert prepare(pixels, ("N", 3), np.int8, mean=(128.0,)).tolist() == [[-128, -1, 127]]
    assert prepare(pixels, ("N", 3), np.uint8, scale=(0.5,)).tolist() == [[0, 64, 128]]
    with pytest.raises(DataError, match="batch 0: values from 0 to 255 do not fit into int8"):
        prepare(pixels, ("N", 3), np.int8, scale=(1.0,))


def test_scale_asks_for_the_conversion() -> None:
    assert prepare(np.ones((2, 3)), ("N", 3), scale=(1.0,)).dtype == F32
    half = prepare(np.full((2, 3), 3, np.uint8), ("N", 3), F16, scale=(0.5,))
    assert half.dtype == F16
    assert (half == 1.5).all()


def test_bfloat16_models_are_fed() -> None:
    import ml_dtypes

    found = prepare(np.full((2, 3), 3, np.uint8), ("N", 3), ml_dtypes.bfloat16, scale=(0.5,))
    assert found.dtype == ml_dtypes.bfloat16
    assert (found.astype(F32) == 1.5).all()


def test_a_wrong_shape_says_axis_and_sizes() -> None:
    with pytest.raises(DataError, match=r"array 'a' \(2, 5\).*axis 1 is 5 where 3 is wanted"):
        prepare(np.zeros((2, 5), F32), ("N", 3))


def test_a_wrong_layout_gets_the_right_one() -> None:
    images = np.zeros((2, 8, 8, 3), F32)
    with pytest.raises(DataError, match="axis 1 is 8 where 3 is wanted; add layout=nchw"):
        prepare(images, ("N", 3, 8, 8))
    with pytest.raises(DataError, match="it fits without layout=nchw"):
        prepare(images.transpose(0, 3, 1, 2), ("N", 3, 8, 8), layout="nchw")
    with pytest.raises(DataError, match="layout=nchw turns arrays with 4 axes"):
        prepare(np.zeros((2, 3), F32), ("N", 3), layout="nchw")


def test_a_mean_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(
        OptionError, match=r"mean has 2 numbers, and array 'a' .* no axis of 2 channels"
    ):
        prepare(np.zeros((2, 3, 8, 8), F32), ("N", 3, 8, 8), mean=(0.1, 0.2))


def test_options_are_for_the_only_float_input() -> None:
    ids, image = Input("ids", np.dtype(np.int64), ("N", 4)), Input("x", F32, ("N", 4))
    both = preparations(Signature.from_inputs((ids, image)), Options(scale=(2.0,)))
    assert both["x"].options.scale == (2.0,)
    assert both["ids"].options == Options()
    with pytest.raises(OptionError, match="one float input, and this one has several: x, z"):
        preparations(Signature.from_inputs((image, Input("z", F32, None))), Options(mean=(1.0,)))
    with pytest.raises(OptionError, match="one float input, and this one has none"):
        preparations(Signature.from_inputs((ids, ids)), Options(layout="nchw"))
