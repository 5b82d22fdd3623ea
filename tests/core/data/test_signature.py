from __future__ import annotations

import numpy as np
import pytest

from onnxpress.data.signature import Input, Signature
from tests.core.data.models import taking


@pytest.mark.parametrize(
    ("inputs", "batch"),
    [
        (["float[N, 4] x"], (True, None)),
        (["float[1, 4] x"], (True, 1)),
        (["float[8, 4] x", "int64[8] ids"], (True, 8)),
        (["float[N, 4] x", "float[1, 4] mask"], (True, 1)),
        (["float[1, 4] x", "float[2, 4] state"], (False, None)),
        (["float[N, 4] x", "int64 rate"], (False, None)),
        (["float[N, S] x", "float[2, N, 8] state"], (False, None)),
    ],
)
def test_the_batch_axis_is_read_off_the_inputs(
    inputs: list[str], batch: tuple[bool, int | None]
) -> None:
    signature = Signature.of(taking(*inputs))
    assert (signature.batched, signature.fixed) == batch
    assert signature.names == tuple(text.rsplit(" ", 1)[1] for text in inputs)


def test_an_input_knows_its_type_and_shape() -> None:
    wanted, half = Signature.of(taking("float[N, 3, ?, 8] x", "bfloat16[N] h")).inputs
    assert wanted == Input("x", np.dtype(np.float32), ("N", 3, None, 8))
    assert str(wanted) == "float32[N, 3, ?, 8]"
    assert wanted.is_float
    assert half.is_float


def test_misfit_is_the_first_axis_that_differs() -> None:
    wanted = Input("x", None, ("N", 3, None, 8))
    assert wanted.misfit((5, 3, 7, 8)) is None
    assert wanted.misfit((5, 4, 7, 9)) == 1
    assert wanted.misfit((5, 3)) == -1
    assert Input("x", None, None).misfit((1, 2, 3)) is None
