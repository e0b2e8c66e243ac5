"""Accuracy: windows, metrics, tables, and what is believed."""
