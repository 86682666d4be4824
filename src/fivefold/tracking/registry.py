"""Model registry: every exported graph becomes a version with signature, input example, requirements and aliases."""

import json

import mlflow
import numpy as np
import onnx
from mlflow import MlflowClient
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from . import events
from .spool import Spool

CHALLENGER = "challenger"
CHAMPION = "champion"

TRAINING_FOLDER = "training"
"""Artifact folder of a version with the outputs of train."""

TRAINING_DIGEST_TAG = "fivefold.training_digest"
"""Tag of a version: SHA-256 of the manifest of the outputs of train."""


def register_version(client: MlflowClient, run_id: str, event: events.ModelVersion, spool: Spool) -> None:
    """Log and register an exported graph; alias it challenger, and also champion if there is no champion yet.

    Each step checks what exists, so an event that is sent again after a crash changes nothing.
    """
    if not client.search_registered_models(f"name = '{event.model}'"):
        client.create_registered_model(event.model)
    version = _find_registered(client, run_id, event) or _log_version(client, run_id, event, spool)
    client.set_registered_model_alias(event.model, CHALLENGER, version)
    is_first = CHAMPION not in client.get_registered_model(event.model).aliases
    if is_first:
        client.set_registered_model_alias(event.model, CHAMPION, version)
    print(f"registered {event.model} version {version} as challenger{' and champion' if is_first else ''}", flush=True)


def _find_registered(client: MlflowClient, run_id: str, event: events.ModelVersion) -> str | None:
    versions = client.search_model_versions(f"name = '{event.model}' and run_id = '{run_id}'")
    return next((str(v.version) for v in versions if _digest_tags(event).items() <= v.tags.items()), None)


def _digest_tags(event: events.ModelVersion) -> dict[str, str]:
    return {"fivefold.sha256": event.sha256, TRAINING_DIGEST_TAG: event.training_digest}


def _log_version(client: MlflowClient, run_id: str, event: events.ModelVersion, spool: Spool) -> str:
    dtype = np.dtype(event.input_dtype)
    mlflow.set_tracking_uri(client.tracking_uri)
    # MLflow logs a model to the current experiment, not to that of `run_id`
    mlflow.set_experiment(experiment_id=client.get_run(run_id).info.experiment_id)
    # mlflow.onnx.log_model needs an active run; closing it would overwrite the end time of the training
    info = Model.log(
        artifact_path=None,
        name=event.model,
        flavor=mlflow.onnx,
        run_id=run_id,
        onnx_model=onnx.load(spool.file_path(event.spool_path)),
        onnx_execution_providers=["CPUExecutionProvider"],
        signature=ModelSignature(
            Schema([TensorSpec(dtype, (-1, *event.input_shape), event.input_name)]),
            Schema([TensorSpec(np.dtype(event.output_dtype), (-1, *event.output_shape), event.output_name)]),
        ),
        input_example={event.input_name: np.array(json.loads(event.input_example), dtype)},
        pip_requirements=list(event.pip_requirements),
    )
    for spool_path in event.training_files:
        client.log_model_artifact(info.model_id, str(spool.file_path(spool_path)), TRAINING_FOLDER)
    tags = {**event.tags, **_digest_tags(event)}
    return str(client.create_model_version(event.model, info.model_uri, run_id, tags, model_id=info.model_id).version)
