"""Weights, data and windows of PyTorch, in and out."""
