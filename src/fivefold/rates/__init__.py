"""`fivefold lr`: find a learning rate by trying ever larger ones for a step each."""
