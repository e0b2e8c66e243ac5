"""Threads and processes that keep the order of their work."""
