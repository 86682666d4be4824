"""The public Python API: the steps of the pipeline as functions, without DVC.

`cross_validate`, `Study` and the names that `load` accepts belong to the project in the current folder, whose
params.yaml they read. Blocks are those of params.yaml, as dictionaries or as objects of `fivefold.config`.
"""
