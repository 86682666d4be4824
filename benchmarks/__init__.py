"""Measurements, side by side on one machine: `make bench` runs them, results/ keeps them, README.md shows them.

An absolute time says little on a shared machine, so what is held is a ratio of two medians of one run. A benchmark ends
with a line `RESULT <name> <value> hold <bar> PASS|FAIL` for each bar, and with exit code 1 if one is not held.
"""
