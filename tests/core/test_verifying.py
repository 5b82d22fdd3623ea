"""What every result must be."""

from __future__ import annotations

import pytest

from onnxpress.errors import ModelError
from onnxpress.verifying import verify
from tests.graphs import graph, normal

ORIGINAL = graph("g (float[N,4] x) => (float[N,3] y) { y = MatMul(x, w) }", w=normal(4, 3))


def test_a_good_result_comes_back_loaded() -> None:
    session = verify(ORIGINAL, ORIGINAL)
    assert session is not None
    assert session.run({"x": normal(2, 4)})["y"].shape == (2, 3)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("g (float[N,4] z) => (float[N,3] y) { y = MatMul(z, w) }", "now they are z float"),
        ("g (float[2,4] x) => (float[2,3] y) { y = MatMul(x, w) }", r"the inputs .* float\[2, 4\]"),
        ("g (float[N,4] x) => (float[N,3] y, float[N,3] q) { y = MatMul(x, w)\n q = Neg(y) }",
         "the outputs are no longer those of the original: .* y float.*, q float"),
    ],
)  # fmt: skip
def test_other_inputs_or_outputs_are_refused(result: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        verify(graph(result, w=normal(4, 3)), ORIGINAL)


def test_what_only_onnx_runtime_refuses_is_refused_if_it_took_the_original() -> None:
    custom = "g (float[N,4] x) => (float[N,3] y) { h = MatMul(x, w)\n y = acme.Unknown(h) }"
    with pytest.raises(ModelError, match="ONNX Runtime does not load the model"):
        verify(graph(custom, w=normal(4, 3)), ORIGINAL)
    assert verify(graph(custom, w=normal(4, 3)), graph(custom, w=normal(4, 3))) is None
