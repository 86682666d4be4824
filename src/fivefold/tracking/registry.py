"""The model registry: every exported graph becomes a version, with signature, example, requirements and aliases."""

import json

import mlflow
import numpy as np
import onnx
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from . import events
from .spool import Spool

CHALLENGER = "challenger"
CHAMPION = "champion"


def register(client: MlflowClient, run_id: str, event: events.Version, spool: Spool) -> None:
    """Log and register an exported graph, once; alias it challenger, and champion if there is none."""
    if _known(client, run_id, event):
        return
    dtype = np.dtype(event.dtype)
    mlflow.set_tracking_uri(client.tracking_uri)
    with mlflow.start_run(run_id=run_id):
        info = mlflow.onnx.log_model(
            onnx.load(spool.file(event.place)),
            name=event.model,
            signature=ModelSignature(
                Schema([TensorSpec(dtype, (-1, *event.shape), "x")]),
                Schema([TensorSpec(np.dtype("float32"), (-1, event.outputs), "y")]),
            ),
            input_example={"x": np.array(json.loads(event.example), dtype)},
            pip_requirements=list(event.requirements),
            registered_model_name=event.model,
        )
    version = str(info.registered_model_version)
    for key, value in {**event.tags, "fivefold.sha256": event.sha256}.items():
        client.set_model_version_tag(event.model, version, key, value)
    client.set_registered_model_alias(event.model, CHALLENGER, version)
    if not _has_champion(client, event.model):
        client.set_registered_model_alias(event.model, CHAMPION, version)


def _known(client: MlflowClient, run_id: str, event: events.Version) -> bool:
    versions = client.search_model_versions(f"name = '{event.model}' and run_id = '{run_id}'")
    return any(version.tags.get("fivefold.sha256") == event.sha256 for version in versions)


def _has_champion(client: MlflowClient, name: str) -> bool:
    try:
        client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException:
        return False
    return True
