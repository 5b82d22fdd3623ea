"""The graph model: one ONNX graph with its weights, read, upgraded, looked at, edited, written."""
