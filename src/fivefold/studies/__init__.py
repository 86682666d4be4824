"""Optuna: spaces, folds, trials, workers; what a study finds goes back into params.yaml."""
