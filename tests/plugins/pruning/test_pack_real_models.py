"""Every model of the shared collection, pruned and packed, gives the very same outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxpress.data.random import runnable_feeds
from onnxpress.errors import ModelError
from onnxpress.graph.external import stored_tensors
from onnxpress.graph.model import Model
from onnxpress.job import Job
from onnxpress.packing.marks import mark_packed
from onnxpress.packing.stored import packable, stored_form
from onnxpress_pruning import MagnitudePruning
from tests.conftest import SHARED

MODELS = sorted((SHARED / "models").rglob("*.onnx"))


@pytest.mark.slow
@pytest.mark.skipif(not MODELS, reason=f"no models in {SHARED}")
@pytest.mark.parametrize("sparsity", [0.8, 0.95])
@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_it_gives_the_same_outputs_from_a_smaller_file(
    path: Path, sparsity: float, tmp_path: Path
) -> None:
    try:
        model = Model.load(path)
        feeds = runnable_feeds(model)
    except ModelError as error:
        pytest.skip(str(error))
    edit = MagnitudePruning(sparsity=sparsity).apply(model, Job()).edit()
    plain = edit.done()
    edit = plain.edit()
    mark_packed(edit.ir, packable(edit.ir))
    packed = edit.done()
    packed.save(tmp_path / "packed.onnx")
    plain.save(tmp_path / "plain.onnx")
    back = Model.load(tmp_path / "packed.onnx")
    same = [tensor.tobytes() for tensor in stored_tensors(plain.ir)]
    assert sorted(same) == sorted(tensor.tobytes() for tensor in stored_tensors(back.ir))
    if stored_form(packed.ir) is packed.ir:
        pytest.skip("nothing in it is sparse and large enough")
    sizes = [(tmp_path / f"{name}.onnx").stat().st_size for name in ("packed", "plain")]
    assert sizes[0] < sizes[1]
    check_outputs(tmp_path, feeds)


def check_outputs(folder: Path, feeds: object) -> None:
    """Run both files in ONNX Runtime, as they are."""
    import onnxruntime as ort

    from onnxpress.session import session_options

    found = [
        ort.InferenceSession(folder / f"{name}.onnx", session_options(1)).run(None, feeds)
        for name in ("plain", "packed")
    ]
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
