"""From a float model to an INT8 TFLite file."""
