"""`fivefold lr-find`: learning-rate range test."""
