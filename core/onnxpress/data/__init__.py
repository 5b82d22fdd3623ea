"""Data: what feeds a model, and where it may come from."""

from onnxpress.data.batch import Array, Batch, Data, Feeds
from onnxpress.data.opening import open_data
from onnxpress.data.overlap import overlaps
from onnxpress.data.prefetch import prefetched
from onnxpress.data.sampling import Epochs

__all__ = ["Array", "Batch", "Data", "Epochs", "Feeds", "open_data", "overlaps", "prefetched"]
