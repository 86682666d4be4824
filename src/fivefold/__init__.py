"""From the raw file to a scored, registered, exported neural network."""

__version__ = "0.1.0"
