"""What losses share that compare one tensor of the model with the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from onnxpress.contract import Objective

if TYPE_CHECKING:
    from onnxpress.autodiff.tensor import Tensor


class Compared(Objective):
    """A loss between a tensor and the labels.

    Attributes:
        output: The name of the tensor.
    """

    output: str | None = Field(
        default=None,
        description="tensor to compare with the labels: an output, or any inner tensor by name; "
        "the model's only output by default",
    )


def wide(tensor: Tensor) -> Tensor:
    """Return half-precision floats as float32, in which losses are computed; others as they are."""
    from onnx_ir import DataType

    half = tensor.dtype in {DataType.FLOAT16, DataType.BFLOAT16}
    return tensor.cast(DataType.FLOAT) if half else tensor


def labels_like(x: Tensor, labels: Tensor) -> Tensor:
    """Return labels in the type and shape of what they are compared with.

    `Objective.read_labels` has made their shapes the same, so nothing is broadcast.
    """
    same = labels.rank is not None and labels.rank == x.rank
    if not same:
        return labels.cast(x.dtype).reshape_like(x)
    # Through a node of its own, so that the input itself stays as it was declared.
    y = x.op("Identity", labels) if labels.dtype == x.dtype else labels.cast(x.dtype)
    return x.op.typed(y.value, y.dtype, x.shape)


def total(tensor: Tensor) -> Tensor:
    """Return the sum of all elements, without axes."""
    return tensor.sum(keepdims=False)


def average(tensor: Tensor) -> Tensor:
    """Return the average of all elements, without axes."""
    return tensor.mean(keepdims=False)
