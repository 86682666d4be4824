"""Validation rules that span several blocks of params.yaml."""
