"""How a stage runs: its lock, its end, its outputs; the same for all of them. Imports nothing heavy."""
