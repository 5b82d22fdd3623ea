from __future__ import annotations

from collections.abc import Sequence

import pytest

from onnxpress.errors import OptionError, UnknownNameError
from onnxpress.graph.layers import Layer
from onnxpress.select import select
from tests.graphs import graph, normal

NAMES = ("/layer1/conv[0]/Conv", "layer1.conv", "layer2.conv", "op:Conv", "Layer1.fc")


@pytest.fixture(scope="module")
def layers() -> tuple[Layer, ...]:
    model = graph(
        """g (float[N,2,3,3] x) => (float[N,1] y) {
            ["/layer1/conv[0]/Conv"] a = Conv(x, first_weight)
            ["layer1.conv"] b = Conv(a, w)
            ["layer2.conv"] c = Conv(b, w)
            ["op:Conv"] d = Conv(c, w)
            f = Flatten(d)
            ["Layer1.fc"] y = Gemm(f, v)
        }""",
        first_weight=normal(2, 2, 1, 1),
        w=normal(2, 2, 1, 1),
        v=normal(18, 1),
    )
    assert tuple(layer.name for layer in model.layers) == NAMES
    return model.layers


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        ([], [], NAMES),
        (["layer2.conv", "layer1.conv"], [], ("layer1.conv", "layer2.conv")),
        (["layer?.conv"], [], ("layer1.conv", "layer2.conv")),
        (["/layer1/conv[0]/Conv"], [], ("/layer1/conv[0]/Conv",)),
        (["*"], ["*.conv"], ("/layer1/conv[0]/Conv", "op:Conv", "Layer1.fc")),
        ([], ["Layer1.fc"], NAMES[:-1]),
        (["op:Conv"], [], ("op:Conv",)),
        (["op:Con*"], [], NAMES[:-1]),
        (["op:Gemm"], ["layer1.*"], ("Layer1.fc",)),
        ([r"re:layer\d\.conv"], [], ("layer1.conv", "layer2.conv")),
        ([r"re:.*conv.*"], ["re:layer.*"], ("/layer1/conv[0]/Conv",)),
        (["first_weight"], [], ("/layer1/conv[0]/Conv",)),
        (["*"], ["*"], ()),
    ],
)
def test_patterns(
    layers: tuple[Layer, ...], include: Sequence[str], exclude: Sequence[str], wanted: Sequence[str]
) -> None:
    assert tuple(layer.name for layer in select(layers, include, exclude)) == tuple(wanted)


def test_a_shared_weight_names_every_layer_that_reads_it(layers: tuple[Layer, ...]) -> None:
    assert [layer.name for layer in select(layers, ["w"])] == [
        "layer1.conv",
        "layer2.conv",
        "op:Conv",
    ]


@pytest.mark.parametrize("pattern", ["layer3.conv", "re:layer", "re:^conv$", "op:conv", "LAYER1.*"])
def test_what_matches_nothing_is_an_error(layers: tuple[Layer, ...], pattern: str) -> None:
    for include, exclude in (([pattern], []), ([], [pattern])):
        with pytest.raises(UnknownNameError):
            select(layers, include, exclude)


def test_the_error_suggests_the_nearest_names(layers: tuple[Layer, ...]) -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'layer2\.conv'"):
        select(layers, ["layer2.con"])
    with pytest.raises(UnknownNameError, match=r"layer of type.*did you mean 'Conv'"):
        select(layers, ["op:Conv2d"])


def test_a_broken_regular_expression_is_an_option_error(layers: tuple[Layer, ...]) -> None:
    with pytest.raises(OptionError, match=r"re:\(.*no valid regular expression"):
        select(layers, ["re:("])
