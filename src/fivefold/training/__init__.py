"""Fit a network: the Lightning trainer and what it is given."""
