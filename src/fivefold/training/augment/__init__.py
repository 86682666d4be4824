"""Alter whole training batches on their device; no calls per row."""
