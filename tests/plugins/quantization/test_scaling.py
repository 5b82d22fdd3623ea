"""Work grows in proportion to the graph."""

from __future__ import annotations

import cProfile
import pstats

import numpy as np
import pytest

from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress_quantization import LinearQuantization
from tests.core.calibration.data import Arrays
from tests.graphs import graph, normal
from tests.plugins.quantization.running import CONVERSIONS


def chain(blocks: int) -> Model:
    """Return residual blocks of five nodes each, with weights of their own."""
    lines, tensors, last = [], {}, "x"
    for i in range(blocks):
        lines.append(
            f"a{i} = Conv({last}, w{i}) r{i} = Relu(a{i}) b{i} = Conv(r{i}, v{i}) "
            f"s{i} = Add(b{i}, {last}) t{i} = Relu(s{i})"
        )
        for name in "wv":
            tensors[f"{name}{i}"] = normal(2, 2, 1, 1, seed=i) * 0.3
        last = f"t{i}"
    text = f"g (float[N,2,2,2] x) => (float[N,2,2,2] {last}) {{ {' '.join(lines)} }}"
    return graph(text, **tensors)


def calls(blocks: int) -> int:
    """Count the function calls that quantizing takes: unlike seconds, the same every time."""
    model = chain(blocks)
    job = Job(data=Arrays([np.ones((1, 2, 2, 2), np.float32)]))
    profile = cProfile.Profile()
    result = profile.runcall(LinearQuantization().apply, model, job)
    assert sum(node.op_type in CONVERSIONS for node in result.ir.graph) > 5 * blocks
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("small", "large"), [(25, 100)])
def test_four_times_the_nodes_take_four_times_the_calls(small: int, large: int) -> None:
    calls(2)  # imports
    assert calls(large) < calls(small) * (large / small) * 1.1
