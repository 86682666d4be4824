"""The model registry: every exported graph becomes a version, with signature, example, requirements and aliases."""

import json
from contextlib import suppress

import mlflow
import numpy as np
import onnx
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
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
    # not mlflow.onnx.log_model: it wants an active run, whose end would overwrite when training ended
    info = Model.log(
        artifact_path=None,
        name=event.model,
        flavor=mlflow.onnx,
        run_id=run_id,
        onnx_model=onnx.load(spool.file(event.place)),
        onnx_execution_providers=["CPUExecutionProvider"],
        signature=ModelSignature(
            Schema([TensorSpec(dtype, (-1, *event.shape), "x")]),
            Schema([TensorSpec(np.dtype("float32"), (-1, event.outputs), "y")]),
        ),
        input_example={"x": np.array(json.loads(event.example), dtype)},
        pip_requirements=list(event.requirements),
    )
    with suppress(MlflowException):  # it exists
        client.create_registered_model(event.model)
    tags = {**event.tags, "fivefold.sha256": event.sha256}
    made = client.create_model_version(event.model, info.model_uri, run_id, tags, model_id=info.model_id)
    version = str(made.version)
    client.set_registered_model_alias(event.model, CHALLENGER, version)
    champion = not _has_champion(client, event.model)
    if champion:
        client.set_registered_model_alias(event.model, CHAMPION, version)
    print(f"registered {event.model} version {version} as challenger{' and champion' if champion else ''}", flush=True)


def _known(client: MlflowClient, run_id: str, event: events.Version) -> bool:
    versions = client.search_model_versions(f"name = '{event.model}' and run_id = '{run_id}'")
    return any(version.tags.get("fivefold.sha256") == event.sha256 for version in versions)


def _has_champion(client: MlflowClient, name: str) -> bool:
    try:
        client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException:
        return False
    return True
