"""Parsing of table cells into typed columns."""
