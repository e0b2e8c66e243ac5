"""Trained models at work: INT8 network, head in C, meter."""
