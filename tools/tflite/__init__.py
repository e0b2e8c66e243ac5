"""TFLite files read: graph, tensors and what they cost."""
