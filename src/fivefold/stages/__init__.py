"""How a stage process runs: lock, signals, atomic outputs. Imports nothing heavy."""
