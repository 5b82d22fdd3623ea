"""A free batch size: what is rewritten, what is refused, and that results stay the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxpress.data.random import random_feeds
from onnxpress.errors import ModelError, OptionError, UnknownNameError
from onnxpress.graph.dynamic import make_batch_dynamic
from onnxpress.graph.dynamic_site import Place, carried
from onnxpress.graph.model import Model
from tests.graphs import graph, normal


def ints(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def dims(model: Model) -> list[list[int | str | None]]:
    """Return the shapes of inputs and outputs."""
    return [
        [d if isinstance(d, int) else d.value for d in value.shape or ()]
        for value in (*model.inputs, *model.outputs)
    ]


# Every graph has a fixed size baked in that the operators alone would not take for another batch.
BAKED = {
    "flatten": graph(
        "g (float[1,2,3] x) => (float[1,4] y) { f = Reshape(x, s) y = MatMul(f, w) }",
        s=ints(1, 6), w=normal(6, 4),
    ),
    "flatten with an open size": graph(
        "g (float[1,2,3] x) => (float[1,4] y) { f = Reshape(x, s) y = MatMul(f, w) }",
        s=ints(1, -1), w=normal(6, 4),
    ),
    "heads merged into the batch and back": graph(
        """g (float[1,5,6] x) => (float[1,5,6] y) {
            a = Reshape(x, s1) b = Transpose<perm=[0,2,1,3]>(a) c = Reshape(b, s2)
            d = Softmax<axis=1>(c) e = Reshape(d, s3) f = Transpose<perm=[0,2,1,3]>(e)
            y = Reshape(f, s4) }""",
        s1=ints(1, 5, 2, 3), s2=ints(2, 5, 3), s3=ints(1, 2, 5, 3), s4=ints(1, 5, 6),
    ),
    "steps merged into the batch": graph(
        """g (float[1,5,6] x) => (float[1,5,3] y) {
            a = Reshape(x, s1) b = Gemm(a, w) y = Reshape(b, s2) }""",
        s1=ints(5, 6), s2=ints(1, 5, 3), w=normal(6, 3),
    ),
    "a class token": graph(
        "g (float[1,3,4] x) => (float[1,4,4] y) { y = Concat<axis=1>(token, x) }",
        token=normal(1, 1, 4),
    ),
    "a state of zeros": graph(
        """g (float[1,5,3] x) => (float[5,1,1,2] y) {
            a = Transpose<perm=[1,0,2]>(x)
            y, h, c = LSTM<hidden_size=2>(a, w, r, , , zeros, zeros) }""",
        w=normal(1, 8, 3), r=normal(1, 8, 2), zeros=np.zeros((1, 1, 2)),
    ),
    "an expanded mask": graph(
        "g (float[2,3,1] x) => (float[2,3,4] y) { y = Expand(x, s) }", s=ints(2, 3, 4)
    ),
    "a resize to sizes": graph(
        "g (float[1,1,2,2] x) => (float[1,1,4,4] y) { y = Resize<mode=\"nearest\">(x, , , s) }",
        s=ints(1, 1, 4, 4),
    ),
    "a grid": graph(
        "g (float[1,1,4,4] x) => (float[1,1,2,2] y) { y = GridSample(x, grid) }",
        grid=np.clip(normal(1, 2, 2, 2), -1, 1),
    ),
    "a slice that is written to": graph(
        "g (float[1,4] x, float[1,2] u) => (float[1,4] y) { y = ScatterND(x, where, u) }",
        where=np.array([[[0, 1], [0, 3]]], np.int64),
    ),
    "a reshape beside an open size": graph(
        "g (float[1,2,T] x) => (float[1,1,U] y) { y = Reshape(x, s) }", s=ints(1, 1, -1)
    ),
    "two samples at once": graph(
        "g (float[2,2,3] x) => (float[2,6] y) { y = Reshape(x, s) }", s=ints(2, 6)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAKED)
def test_a_batch_gives_what_its_samples_give(name: str) -> None:
    model = BAKED[name]
    free = make_batch_dynamic(model)
    free.check()
    fixed = dims(model)[0][0]
    assert isinstance(fixed, int)
    assert all("batch" in shape for shape in dims(free))
    known = {"T": 4} if "T" in dims(model)[0] else {}
    runs = [random_feeds(model, dims=known, seed=seed) for seed in range(4)]
    together = free.run({key: np.concatenate([run[key] for run in runs]) for key in runs[0]})["y"]
    axis = dims(free)[-1].index("batch")
    single = [model.run(run)["y"] for run in runs]
    np.testing.assert_allclose(together, np.concatenate(single, axis), rtol=1e-5, atol=1e-6)


def test_a_batch_among_axes_of_size_1_goes_where_it_is_needed() -> None:
    model = graph(
        """g (float[1,5,3] x, float[2,1,1,2] states) => (float[2,1,1,2] y) {
            a = Transpose<perm=[1,0,2]>(x) all, h = GRU<hidden_size=2>(a, w, r)
            u = Reshape(h, s) y = ScatterND(states, where, u) }""",
        w=normal(1, 6, 3), r=normal(1, 6, 2), s=ints(1, 1, 1, 2),
        where=np.array([[1]], np.int64),
    )  # fmt: skip
    free = make_batch_dynamic(model, {"states": 2})
    assert dims(free) == [["batch", 5, 3], [2, 1, "batch", 2], [2, 1, "batch", 2]]


def test_the_original_stays_as_it_is() -> None:
    model = BAKED["flatten"]
    before = (dims(model), [node.op_type for node in model.ir.graph])
    make_batch_dynamic(model)
    assert (dims(model), [node.op_type for node in model.ir.graph]) == before


def test_a_free_batch_size_is_left_alone() -> None:
    model = graph("g (float[N,2] x) => (float[N,2] y) { y = Relu(x) }")
    assert make_batch_dynamic(model) is model


def test_the_symbol_is_not_that_of_another_dimension() -> None:
    free = make_batch_dynamic(graph("g (float[1,batch] x) => (float[1,batch] y) { y = Relu(x) }"))
    assert dims(free) == [["batch_1", "batch"], ["batch_1", "batch"]]


def test_inner_shapes_are_forgotten() -> None:
    model = graph("g (float[1,2] x) => (float[1,2] y) <float[1,2] a> { a = Relu(x) y = Neg(a) }")
    free = make_batch_dynamic(model)
    assert next(iter(free.ir.graph)).outputs[0].shape is None
    assert free.types["a"].shape == ("batch", 2)


def test_another_axis_counts_samples_if_one_says_so() -> None:
    model = graph("g (float[1,3] x, float[2,1,3] h) => (float[2,1,3] y) { y = Add(x, h) }")
    with pytest.raises(ModelError, match=r"'x' is float32\[1, 3\].*--batch-axis NAME=AXIS"):
        make_batch_dynamic(model)
    assert dims(make_batch_dynamic(model, {"h": 1})) == [
        ["batch", 3], [2, "batch", 3], [2, "batch", 3],
    ]  # fmt: skip
    with pytest.raises(UnknownNameError, match="no input called 'state'"):
        make_batch_dynamic(model, {"state": 1})
    with pytest.raises(OptionError, match="'x' has no axis 2"):
        make_batch_dynamic(model, {"x": 2})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("first = Gather(x, zero) y = Unsqueeze(first, zeros)", "'y' does not grow with the batch"),
        ("m = ReduceMean<keepdims=1>(x, zeros) y = Add(x, m)", r"'y' is not that of 3 single runs"),
        ("f = Squeeze(x, zeros) y = Unsqueeze(f, zeros)", "ONNX Runtime fails.*Squeeze"),
    ],
)
def test_what_does_not_keep_samples_apart_is_refused(text: str, said: str) -> None:
    zero, zeros = np.array(0, np.int64), ints(0)
    model = graph(f"g (float[1,3] x) => (float[1,3] y) {{ {text} }}", zero=zero, zeros=zeros)
    with pytest.raises(ModelError, match=said):
        make_batch_dynamic(model)


def test_the_first_node_that_mixes_samples_is_named() -> None:
    model = graph(
        """g (float[1,3] x) => (float[1,3] y) {
            a = Relu(x) b = CumSum(a, zero) c = Neg(b) y = Exp(c) }""",
        zero=np.array(0, np.int64),
    )
    with pytest.raises(ModelError, match=r"from node 'b' \(CumSum\) on"):
        make_batch_dynamic(model)


def test_outputs_that_never_change_prove_nothing() -> None:
    model = graph("g (float[1,3] x) => (float[1,3] y) { y = Mul(x, zero) }", zero=np.zeros(1))
    with pytest.raises(ModelError, match="give samples that differ"):
        make_batch_dynamic(model)


def test_samples_of_the_callers_own() -> None:
    model = graph(
        "g (float[1,1] x) => (float[1,1] y) { s = Sub(x, far) y = Relu(s) }", far=np.full(1, 9.0)
    )
    with pytest.raises(ModelError, match="give samples that differ"):
        make_batch_dynamic(model)
    samples = [{"x": np.full((1, 1), number, np.float32)} for number in (10, 20)]
    assert dims(make_batch_dynamic(model, samples=samples)) == [["batch", 1], ["batch", 1]]


@pytest.mark.parametrize(
    ("place", "before", "after", "found"),
    [
        (Place(0), (1, 2, 3), (1, 6), Place(0)),
        (Place(0), (1, 4, 5), (4, 5), Place(0, 1, 4)),
        (Place(0, 1, 4), (4, 5), (1, 4, 5), Place(0)),
        (Place(1), (7, 1, 5), (7, 5), Place(0, 7, 1)),
        (Place(0), (2, 6), (2, 3, 2), Place(0)),
    ],
)
def test_where_a_reshape_carries_the_batch(
    place: Place, before: tuple[int, ...], after: tuple[int, ...], found: Place
) -> None:
    assert carried(place, before, after, before[place.axis] // place.merged)[0] == found


SMALL = {
    "mnist_cntk/mnist.onnx",
    "mnist_pytorch_cnn/cnn_mnist_pytorch.onnx",
    "mnist_pytorch_cnn/lr_mnist_scikit.onnx",
    "mnist_rten_dynamo/mnist.onnx",
    "movie_review_tflite/movie_review.onnx",
}
LARGE = {
    "sinet_portrait/SINet.onnx",
    "sinet_portrait/SINet_Softmax.onnx",
    "squeezenet_v11_fp16/SqueezeNet_fp16.onnx",
    "ultraface/version-RFB-320.onnx",
    "yolox_nano/yolox_nano.onnx",
}


@pytest.mark.parametrize(
    "name", [*sorted(SMALL), *(pytest.param(n, marks=pytest.mark.slow) for n in sorted(LARGE))]
)
def test_models_that_people_have(shared: Path, name: str) -> None:
    free = make_batch_dynamic(Model.load(shared / "models" / name))
    free.check()
    assert {shape[0] for shape in dims(free) if shape} == {"batch"}


@pytest.mark.slow
def test_a_model_with_states(shared: Path) -> None:
    model = Model.load(shared / "models" / "gtcrn" / "gtcrn_simple.onnx")
    axes = {"conv_cache": 1, "tra_cache": 2, "inter_cache": 1}
    free = make_batch_dynamic(model, axes)
    free.check()
    assert [shape.index("batch") for shape in dims(free)] == [0, 1, 2, 1] * 2
