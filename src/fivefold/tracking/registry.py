"""The model registry: every exported graph becomes a version, with signature, example, requirements and aliases."""

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

FOLDER = "training"
"""Where a version keeps what train wrote, beside its graph."""

TRAINED = "fivefold.trained"
"""Tag of a version: the digest of what train wrote."""


def register(client: MlflowClient, run_id: str, event: events.Version, spool: Spool) -> None:
    """Log and register an exported graph; alias it challenger, and champion if there is none.

    Each step looks at what is there already: an event that is sent again after a crash changes nothing.
    """
    if not client.search_registered_models(f"name = '{event.model}'"):
        client.create_registered_model(event.model)
    version = _known(client, run_id, event) or _log(client, run_id, event, spool)
    client.set_registered_model_alias(event.model, CHALLENGER, version)
    first = CHAMPION not in client.get_registered_model(event.model).aliases
    if first:
        client.set_registered_model_alias(event.model, CHAMPION, version)
    print(f"registered {event.model} version {version} as challenger{' and champion' if first else ''}", flush=True)


def _known(client: MlflowClient, run_id: str, event: events.Version) -> str | None:
    versions = client.search_model_versions(f"name = '{event.model}' and run_id = '{run_id}'")
    return next((str(v.version) for v in versions if _digests(event).items() <= v.tags.items()), None)


def _digests(event: events.Version) -> dict[str, str]:
    return {"fivefold.sha256": event.sha256, TRAINED: event.trained}


def _log(client: MlflowClient, run_id: str, event: events.Version, spool: Spool) -> str:
    dtype = np.dtype(event.takes_dtype)
    mlflow.set_tracking_uri(client.tracking_uri)
    # a model is logged to the experiment that is set, not to that of the run it is logged for
    mlflow.set_experiment(experiment_id=client.get_run(run_id).info.experiment_id)
    # not mlflow.onnx.log_model: it wants an active run, whose end would overwrite when training ended
    info = Model.log(
        artifact_path=None,
        name=event.model,
        flavor=mlflow.onnx,
        run_id=run_id,
        onnx_model=onnx.load(spool.file(event.place)),
        onnx_execution_providers=["CPUExecutionProvider"],
        signature=ModelSignature(
            Schema([TensorSpec(dtype, (-1, *event.takes), event.input)]),
            Schema([TensorSpec(np.dtype(event.gives_dtype), (-1, *event.gives), event.output)]),
        ),
        input_example={event.input: np.array(json.loads(event.example), dtype)},
        pip_requirements=list(event.requirements),
    )
    for place in event.training:
        client.log_model_artifact(info.model_id, str(spool.file(place)), FOLDER)
    tags = {**event.tags, **_digests(event)}
    return str(client.create_model_version(event.model, info.model_uri, run_id, tags, model_id=info.model_id).version)
