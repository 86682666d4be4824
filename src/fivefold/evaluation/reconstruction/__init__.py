"""Evaluation of autoencoders."""
