"""Data: what feeds a model, and where it may come from."""

from onnxpress.data.batch import Array, Batch, Data, Feeds
from onnxpress.data.opening import open_data
from onnxpress.data.overlap import overlaps

__all__ = ["Array", "Batch", "Data", "Feeds", "open_data", "overlaps"]
