"""The networks as ONNX graphs, and their comparison."""
