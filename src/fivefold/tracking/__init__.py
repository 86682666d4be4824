"""MLflow, the projection: stages append events to a local spool, and a process beside them sends these on.

Only ship.py, store.py, registry.py and sync.py import mlflow, and no stage imports those: a slow or dead server never
slows or stops a stage, and what is sent decides nothing that DVC tracks.
"""
