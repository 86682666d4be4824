"""MLflow tracking. Stages append events to a local spool; a background process sends them to MLflow.

Only shipper.py, store.py, registry.py, sync.py, download.py and study_runs.py import mlflow, and no stage imports
those: a slow or unreachable server never slows or stops a stage, unless `training.pretrained` loads a registered model.
"""
