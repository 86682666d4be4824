"""Cells of a table to typed columns."""
