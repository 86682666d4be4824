"""Preprocessing that is fitted on training rows with scikit-learn and exported with the model."""
