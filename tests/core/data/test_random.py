from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxpress.data.random import random_batches, random_feeds, runnable_feeds
from onnxpress.errors import ModelError
from onnxpress.graph.model import Model
from tests.graphs import graph, normal


def test_types_and_shapes() -> None:
    feeds = random_feeds(
        graph(
            """g (float[N,3,H,W] image, float16[N,5] half, double[2] d, uint8[N,4] u, int8[N,400] i,
                  int64[N,T] ids, int32 n, bool[N,T] b, bfloat16[N] f)
               => (float[N,3,H,W] y) { y = Relu(image) }"""
        ),
        batch=2,
    )
    assert {name: (a.shape, a.dtype.name) for name, a in feeds.items()} == {
        "image": ((2, 3, 224, 224), "float32"),
        "half": ((2, 5), "float16"),
        "d": ((2,), "float64"),
        "u": ((2, 4), "uint8"),
        "i": ((2, 400), "int8"),
        "ids": ((2, 16), "int64"),
        "n": ((), "int32"),
        "b": ((2, 16), "bool"),
        "f": ((2,), "bfloat16"),
    }
    assert set(feeds["ids"].flat) == {0, 1}
    assert feeds["i"].min() < -100
    assert abs(feeds["image"].std() - 1) < 0.02


def test_one_symbol_has_one_size() -> None:
    model = graph("g (float[N,T] a, float[T,N] b) => (float[N,N] y) { y = MatMul(a, b) }")
    feeds = random_feeds(model, batch=3, dims={"T": 7})
    assert (feeds["a"].shape, feeds["b"].shape) == ((3, 7), (7, 3))


def test_dimensions_without_names() -> None:
    model = graph("g (float[?,?,4] x) => (float[?,?,4] y) { y = Relu(x) }")
    assert random_feeds(model, batch=3)["x"].shape == (3, 16, 4)
    assert random_feeds(model, dims={"x[1]": 9, "x[0]": 2})["x"].shape == (2, 9, 4)


def test_seed() -> None:
    model = graph("g (float[N,4] x, float[N,4] z) => (float[N,4] y) { y = Add(x, z) }")
    first, again, other = (random_feeds(model, seed=seed)["x"] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(random_feeds(model)["x"], random_feeds(model)["z"])


def test_indices_stay_within_the_shortest_table() -> None:
    model = graph(
        """g (int32[N,T] ids) => (float[N,T,4] y) {
            wide = Cast<to=7>(ids)
            a = Gather(words, wide)
            b = Gather(few, ids)
            y = Add(a, b)
        }""",
        words=normal(1000, 4),
        few=normal(30, 4),
    )
    ids = random_feeds(model, dims={"T": 500})["ids"]
    assert set(ids.flat) == set(range(30))


def test_masks_hide_nothing() -> None:
    model = graph(
        "g (int64[N,T] attention_mask) => (int64[N,T] y) { y = Identity(attention_mask) }"
    )
    assert random_feeds(model)["attention_mask"].all()


def test_what_nothing_can_be_made_for() -> None:
    model = graph("g (seq(float[N]) s) => (int64 y) { y = SequenceLength(s) }")
    with pytest.raises(ModelError, match=r"input 's'.*give data"):
        random_feeds(model)


def test_sizes_are_searched_until_the_model_runs() -> None:
    # Three free dimensions: T is any multiple of 32, S is the batch.
    model = graph(
        """g (float[N,T] x, float[S,4] state) => (float[N,S,4] y) {
            frames = Constant<value_ints = [-1,32]>()
            f = Reshape(x, frames)
            both = Constant<value_ints = [1,4]>()
            s = Reshape(state, both)
            m = MatMul(f, w)
            y = Add(m, s)
        }""",
        w=normal(32, 4),
    )
    feeds = runnable_feeds(model)
    assert feeds["x"].shape[1] % 32 == 0
    assert feeds["state"].shape == (1, 4)
    assert model.run(feeds)["y"].size


def test_a_batch_is_made_smaller_where_need_be() -> None:
    model = graph(
        """g (float[N,4] x) => (float[M,4] y) {
            one = Constant<value_ints = [1,4]>()
            y = Reshape(x, one)
        }"""
    )
    assert runnable_feeds(model, batch=8)["x"].shape == (1, 4)


def test_no_size_will_do() -> None:
    model = graph(
        """g (float[N,T] x) => (float[A,B] y) {
            s = Constant<value_ints = [-1,999983]>()
            y = Reshape(x, s)
        }"""
    )
    with pytest.raises(
        ModelError, match=r"does not run with random inputs.*tried for N, T.*Reshape"
    ):
        runnable_feeds(model)


def test_batches_are_alike_in_size_only() -> None:
    model = graph("g (float[N,T] x) => (float[N,T] y) { y = Relu(x) }")
    batches = random_batches(model, 3, batch=2, seed=5)
    assert {b["x"].shape for b in batches} == {(2, 16)}
    assert len({b["x"].tobytes() for b in batches}) == 3
    assert np.array_equal(batches[1]["x"], random_batches(model, 3, batch=2, seed=5)[1]["x"])


@pytest.mark.parametrize(
    "name",
    [
        "vespa_dummy_transformers/random_decoder",
        "vespa_dummy_transformers/dummy_transformer_mlm",
        "silero_vad/silero_vad",
        "silero_vad/silero_vad_half",
        "nnsplit/model",
        "stories260k/stories260k",
        "paddleocr/ch_PP-OCRv3_det_infer",
        "mlperf_tiny_kws_dscnn/kws_ref_model_int8",
    ],
)
def test_real_models_run(shared: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    model: Any = Model.load(shared / f"models/{name}.onnx")
    assert all(np.size(a) for a in model.run(runnable_feeds(model)).values())
    assert capfd.readouterr() == ("", "")
