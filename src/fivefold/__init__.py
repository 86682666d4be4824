"""From the raw file to a scored, registered, exported neural network, for five kinds of data and five families."""

__version__ = "0.1.0"
