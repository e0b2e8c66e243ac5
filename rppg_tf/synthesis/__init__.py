"""Synthetic recordings: pulse waves, patches and heads."""
