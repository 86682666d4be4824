"""MLflow tracking. Stages append events to a local spool; a background process sends them to MLflow.

Only shipper.py, store.py, registry.py, sync.py, download.py and study_runs.py import mlflow, and no stage imports
these, so a slow or unreachable server never delays or stops a stage. The exception is a stage that loads a registered
model (`training.pretrained`).
"""
