"""Studies of quantisation: cases, sweeps, reports."""
