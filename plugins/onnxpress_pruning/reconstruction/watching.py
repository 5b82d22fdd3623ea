"""Going through the layers of a model with what they are fed, one tensor at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from onnxpress_pruning.reconstruction.flow import Flow
from onnxpress_pruning.reconstruction.product import find_product

if TYPE_CHECKING:
    from onnxpress.data.batch import Array
    from onnxpress_pruning.criteria.criterion import Subject
    from onnxpress_pruning.reconstruction.product import Product


def watched(subject: Subject, step: str) -> Iterator[tuple[Product, Iterator[Array]]]:
    """Yield the layers that read a target, and what each is fed, batch by batch.

    Args:
        subject: The model, its targets and the data.
        step: What needs the data, for errors.

    Raises:
        UsageError: If there is no data.
        DataError: If there are no samples, or a tensor holds NaN or infinite values.
    """
    model, job = subject.model, subject.job
    flow = Flow(job.require_data(step), job)
    wanted = {weight.name for weight in subject.targets}
    for layer in model.layers:
        product = find_product(layer, model.ir.graph)
        if layer.weight.name in wanted and not isinstance(product, str):
            yield product, flow.arrays(model, product.source)
