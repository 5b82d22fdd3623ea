from __future__ import annotations

import pytest

from onnxpress.data.options import Options, read_options
from onnxpress.errors import OptionError, UnknownNameError


def test_texts_and_values_say_the_same() -> None:
    texts = {"limit": "256", "scale": "1/255", "mean": ".485,.456,.406", "size": "32,48"}
    values = {"limit": 256, "scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "size": (32, 48)}
    expected = Options(limit=256, scale=(1 / 255,), mean=(0.485, 0.456, 0.406), size=(32, 48))
    assert read_options(texts) == read_options(values) == expected


def test_one_number_for_size_is_a_square() -> None:
    assert read_options({"size": "224"}).size == (224, 224)
    assert read_options({"size": 224}).size == (224, 224)


def test_an_unknown_option_gets_the_nearest() -> None:
    with pytest.raises(
        UnknownNameError, match="no data option called 'layuot'; did you mean 'layout'"
    ):
        read_options({"layuot": "nchw"})


@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        ("limit", "0", "whole number of at least 1"),
        ("limit", True, "whole number of at least 1"),
        ("limit", 2.5, "whole number of at least 1"),
        ("batch", "-1", "whole number of at least 1"),
        ("batch", "many", "whole number of at least 1"),
        ("offset", "-3", "whole number of at least 0"),
        ("shuffle", "x", "whole number of at least 0"),
        ("scale", "a", "one number or one per channel"),
        ("scale", "1/0", "one number or one per channel"),
        ("mean", "nan", "one number or one per channel"),
        ("mean", "", "one number or one per channel"),
        ("std", "1,0", "0 is not possible"),
        ("layout", "chw", "layout is nchw or nhwc"),
        ("layout", ["nchw"], "layout is nchw or nhwc"),
        ("size", "1,2,3", "height,width"),
        ("size", "0", "at least 1"),
    ],
)
def test_a_value_out_of_range_gets_the_range(name: str, value: object, takes: str) -> None:
    with pytest.raises(OptionError, match=takes) as caught:
        read_options({name: value})
    assert name in str(caught.value)
