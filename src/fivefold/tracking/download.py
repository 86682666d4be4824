"""Fetch what a registered version was trained to: `python -m fivefold.tracking.download <start> <folder>`.

A process of its own: no stage pays for mlflow. Writes into the folder what train wrote, and `pulled.json`: the
version's number, and the digest in its tags. Exit codes: 2 there is no such version, 1 the store is out of reach; one
line each.
"""

import json
import os
import sys
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from ..config.training import PretrainedWeights
from ..errors import FivefoldError, ParamsError, TrackingError
from . import store
from .registry import TRAINING_DIGEST_TAG, TRAINING_FOLDER

DOWNLOAD_INFO = "pulled.json"


def download_version(pretrained: PretrainedWeights, folder: Path) -> None:
    """Fetch the version that `start` names into `folder`.

    Raises:
        ParamsError: the registry has no such model, alias or version, or not its weights.
        TrackingError: the store is not there, or refuses.
    """
    title, remedy = f"fivefold-{pretrained.model}", f"run `dvc repro export@{pretrained.model}`, which registers it"
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        client, _ = store.open_store()
        version = _find_version(client, title, pretrained, remedy)
        trained = version.tags.get(TRAINING_DIGEST_TAG)
        if trained is None:
            raise ParamsError(f"{title} version {version.version} must have its weights, but has not; {remedy} anew")
        mlflow.set_tracking_uri(client.tracking_uri)  # an argument would not reach the registry
        download_artifacts(f"models:/{title}/{version.version}/{TRAINING_FOLDER}", dst_path=str(folder))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"MLflow must be reachable to start from {title}, but {store.describe_error(error)};"
            " start that server, or unset MLFLOW_TRACKING_URI"
        ) from None
    (folder / DOWNLOAD_INFO).write_text(
        json.dumps({"model": title, "version": int(version.version), "trained": trained})
    )


def _find_version(
    client: MlflowClient, registered_name: str, pretrained: PretrainedWeights, remedy: str
) -> ModelVersion:
    found = {int(v.version): v for v in client.search_model_versions(f"name = '{registered_name}'")}
    if not found:
        raise ParamsError(
            f"model must be registered, but {registered_name} has no version in {store.display_uri()}; {remedy}"
        )
    if pretrained.version is not None:
        if pretrained.version not in found:
            raise ParamsError(
                f"version must be one of {', '.join(map(str, sorted(found)))} of {registered_name}, but is {pretrained.version};"
                " choose one of them"
            )
        return found[pretrained.version]
    aliases = client.get_registered_model(registered_name).aliases
    if pretrained.alias not in aliases:
        raise ParamsError(
            f"alias must be one of {', '.join(sorted(aliases)) or 'none'} of {registered_name}, but is {pretrained.alias!r};"
            " choose one of them, or name a version"
        )
    return found[int(aliases[pretrained.alias])]


def main() -> None:
    """Fetch what the command line names."""
    try:
        download_version(PretrainedWeights.model_validate_json(sys.argv[1]), Path(sys.argv[2]))
    except FivefoldError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
