"""The network in Keras: spatial CNN and temporal heads."""
