"""Benchmarks: `make bench` runs them, results/ has their measurements, README.md shows some of them.

Absolute times mean little on a shared machine, so limits apply to ratios of two medians of one run. A benchmark ends
with a line `RESULT <name> <value> hold <limit> PASS|FAIL` for each limit, and with exit code 1 if one is not met.
"""
