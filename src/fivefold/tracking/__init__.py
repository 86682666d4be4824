"""MLflow, the projection: stages append events to a local spool, and a process beside them sends these on.

Only ship.py, store.py, registry.py, sync.py, pull.py and studies.py import mlflow, and no stage imports those: a slow
or dead server never slows or stops a stage, unless `training.start` asks for what lies there.
"""
