"""Recordings: their layout, labels, splits, clips and targets."""
