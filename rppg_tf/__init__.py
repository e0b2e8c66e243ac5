"""Camera-based heart rate: from recordings to an INT8 model and C code."""
