"""Hyperparameter search with Optuna: search spaces, samplers, pruners and scores."""
