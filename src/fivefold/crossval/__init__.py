"""Cross-validation and its statistics."""
