"""Raw sources to checked, split arrays on disk."""
