"""Arithmetic on samples: normalisation, grids, spectra."""
