"""`fivefold add`: look at a source, say what it is, and write the blocks that train on it."""
