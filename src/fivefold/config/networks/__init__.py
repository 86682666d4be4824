"""The `network` block of each model family."""
