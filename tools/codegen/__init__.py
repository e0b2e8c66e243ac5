"""C source as text: contract, spatial CNN, temporal head."""
