"""From a raw source to checked, split arrays on disk."""
