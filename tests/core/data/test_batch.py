from __future__ import annotations

import numpy as np

from onnxpress.data.batch import Batch
from onnxpress.data.opening import open_data
from tests.core.data.models import taking

X = np.arange(40, dtype=np.float32).reshape(10, 4)
Y = np.arange(10)
MODEL = taking("float[N, 4] x")


def test_size_is_the_first_axis() -> None:
    assert Batch({"x": X}).size == 10
    assert Batch({"sr": np.array(16000)}).size == 1


def test_a_fingerprint_does_not_depend_on_batches() -> None:
    whole = open_data((X, Y), MODEL)
    parts = open_data([(X[i : i + 3], Y[i : i + 3]) for i in range(0, 10, 3)], MODEL)
    assert whole.fingerprint() == whole.fingerprint() == parts.fingerprint()


def test_a_fingerprint_depends_on_everything_else() -> None:
    changed = X.copy()
    changed[7, 2] += 1
    sources = [(X, Y), (X,), (X, Y + 1), (X[::-1], Y), (changed, Y), (X[:9], Y[:9])]
    prints = {open_data(source, MODEL).fingerprint() for source in sources}
    assert len(prints) == len(sources)
