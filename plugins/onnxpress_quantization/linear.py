"""`LinearQuantization`: static quantization to 8-bit integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from onnxpress.contract import Transform
from onnxpress.select import Patterns

if TYPE_CHECKING:
    from onnxpress.graph.model import Model
    from onnxpress.job import Job


@final
class LinearQuantization(Transform):
    """Compute and store layers in 8-bit integers, with ranges measured on data.

    Weights get symmetric grids, activations asymmetric ones on which 0 is exact, and
    biases int32.  The result holds QuantizeLinear and DequantizeLinear pairs, placed so
    that ONNX Runtime turns what lies between into integer kernels; inputs and outputs
    of the model stay float.  Normalisations behind a layer are folded into its weights
    first.
    """

    name: ClassVar[str] = "linear-quantization"

    weights: Literal["int8"] = Field(default="int8", description="Type of the weights.")
    activations: Literal["uint8", "int8"] = Field(
        default="uint8", description="Type of the activations; uint8 is fastest on x86."
    )
    granularity: Literal["per-channel", "per-tensor"] = Field(
        default="per-channel",
        description="One weight scale for each output channel, or one for all.",
    )
    calibration: Literal["min-max", "percentile"] = Field(
        default="min-max", description="How ranges of activations are chosen."
    )
    percentile: float = Field(
        default=99.99,
        gt=50,
        le=100,
        description="Percent of all values to cover, with calibration=percentile.",
    )
    layers: Patterns = Field(
        default=(), description="Only these layers: a name, a glob, re:REGEX or op:TYPE."
    )
    exclude: Patterns = Field(default=(), description="Not these layers; patterns as for layers.")
    op_types: Patterns = Field(
        default=(),
        description="Only layers of these operators, such as Conv.",
    )
    freeze: bool = Field(
        default=False,
        description="Drop inputs of the model that only override stored weights.",
    )

    def apply(self, model: Model, job: Job) -> Model:
        from onnxpress_quantization.static import quantize

        return quantize(model, self, job)
