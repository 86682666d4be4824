"""Convolutional networks for images and for sequences."""
