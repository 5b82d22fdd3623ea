"""Packing: tensors that are mostly one value, stored as positions and values.

A model in memory is always plain.  Packing is a form of its file: `marks` says which tensors
are to be packed, `stored` makes the graph that is written, with standard operators that give
the tensors back, `restored` finds those again on reading.  `positions` and `layouts` say how
a tensor is packed, `choosing` which way is the smallest, `decoder` how an ONNX graph unpacks it.
"""
