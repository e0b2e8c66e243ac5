"""Studies whose commands stand at the root of tools."""
