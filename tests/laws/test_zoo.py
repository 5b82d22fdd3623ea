"""Laws over the zoo: real architectures of `timm` and `transformers`, and some of our own.

A law is one test with the two parameters below; `made` gives the file and PyTorch's answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pytest

from onnxpress.graph.model import Model
from tests.laws.zoo import BY_BOTH, EXPORTS, ZOO
from tests.laws.zoo.checking import worst_difference
from tests.laws.zoo.export import Exported, exported, missing, seeded
from tests.laws.zoo.net import Exporter

TOLERANCE: Final = 1e-3
"""Of the largest value of an output."""

over_the_zoo = pytest.mark.parametrize(("name", "exporter"), EXPORTS)


def made(name: str, exporter: Exporter) -> Exported:
    """Return an entry's file; the test is skipped where its libraries are missing."""
    if lacking := missing(ZOO[name]):
        pytest.skip(f"no {lacking}: {name} is made with it")
    return exported(ZOO[name], exporter)


@pytest.mark.slow
@over_the_zoo
def test_the_file_answers_what_pytorch_answers(name: str, exporter: Exporter) -> None:
    file = made(name, exporter)
    model = Model.load(file.path)
    model.check()
    assert worst_difference(file, model) < TOLERANCE


@pytest.mark.slow
@over_the_zoo
def test_answers_differ_between_inputs(name: str, exporter: Exporter) -> None:
    """A network that answers the same to everything would keep any law."""
    for case in made(name, exporter).cases:
        for answer in case.answers:
            assert np.ptp(answer, axis=0).max() > 1e-3 * np.abs(answer).max()


@pytest.mark.slow
def test_no_parameter_is_constant_or_equal_to_another() -> None:
    """Exporters store equal tensors once; layers would then be tied that are not in PyTorch."""
    net = ZOO["mobilenet-v2"]
    if lacking := missing(net):
        pytest.skip(f"no {lacking}")
    stored = [p.detach().numpy() for p in seeded(net).parameters()]
    assert all(np.ptp(array) > 0 for array in stored)
    assert len({array.tobytes() for array in stored}) == len(stored)


@pytest.mark.slow
@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_same_bytes_every_time(exporter: Exporter, tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("first", "second"))
    for folder in (first, second):
        folder.mkdir()
        exported(ZOO["lenet"], exporter, folder)
    name = f"lenet-{exporter}.onnx"
    assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_zoo_is_large_enough() -> None:
    assert len(ZOO) >= 60
    assert {name for name, _ in EXPORTS} == set(ZOO)


def test_names_are_unique_and_those_exported_twice_exist() -> None:
    assert set(BY_BOTH) <= set(ZOO)
    assert all(len(ZOO[name].exporters) == 2 for name in BY_BOTH)
