"""The process of a pipeline stage: lock, signals, atomic outputs. Imports nothing heavy."""
