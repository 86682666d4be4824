"""Diagnostics of a training run: what went wrong, and the remedy."""
