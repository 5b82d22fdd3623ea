"""The step ``magnitude-pruning``."""

from __future__ import annotations

from typing import ClassVar, final

from pydantic import Field

from onnxpress_pruning.criteria.known import MagnitudeCriterion, make_magnitude
from onnxpress_pruning.pruning import Pruning


@final
class MagnitudePruning(Pruning):
    """Set the weights of smallest magnitude to zero: one by one, N of every M, or in blocks.

    The number of zeros is exact: `sparsity` times the number of weights, half to even,
    but every tensor keeps at least one weight.  Zeros that are there already count, so
    that a second run changes nothing.  Of equal weights, the first in memory goes first.

    Pruned are the weights of Conv, ConvTranspose, Gemm, MatMul, LSTM, GRU, RNN and of
    embeddings (Gather), wherever they are stored, each tensor once.  Biases and
    normalisations stay as they are unless asked for; weights stored as integers stay too.

    The graph keeps its shape: zeros alone make a file smaller only when it is zipped or
    packed, and no runtime faster that computes with dense matrices.  With structure=channel,
    head or depth, channels, attention heads or residual blocks are taken out instead: what is
    left is a smaller dense graph.
    """

    name: ClassVar[str] = "magnitude-pruning"

    criterion: MagnitudeCriterion = Field(
        default_factory=lambda: make_magnitude("l1"),
        description="what a weight is worth: l1, l2, lamp, random, or scores given by "
        "given:scores=FILE.npz; of whole channels also fpgm, bn-scale",
    )
