"""Two networks that learn from each other: one makes records of noise, the other tells them from real ones."""
