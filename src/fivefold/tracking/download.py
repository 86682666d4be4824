"""Download a registered model version: `python -m fivefold.tracking.download <pretrained> <folder>`.

A separate process, so that stages do not import mlflow. Writes the outputs of train into the folder, and
`download.json` with the version's number and the digest in its tags. Exit codes: 2 if there is no such version, 1 if
the store cannot be reached; each with a one-line message on standard error.
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

DOWNLOAD_INFO = "download.json"
"""File with the registered name, version and training digest of a downloaded model."""


def download_version(pretrained: PretrainedWeights, folder: Path) -> None:
    """Download the model version that `pretrained` selects into `folder`.

    Raises:
        ParamsError: The registry has no such model, alias or version, or the version has no weights.
        TrackingError: The store cannot be reached or returned an error.
    """
    name, remedy = f"fivefold-{pretrained.model}", f"run `dvc repro export@{pretrained.model}`, which registers it"
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        client, _ = store.open_store()
        version = _find_version(client, name, pretrained, remedy)
        training_digest = version.tags.get(TRAINING_DIGEST_TAG)
        if training_digest is None:
            raise ParamsError(
                f"{name} version {version.version} must include its weights, but does not; {remedy} again"
            )
        mlflow.set_tracking_uri(client.tracking_uri)  # the argument of the same name is not used for the registry
        download_artifacts(f"models:/{name}/{version.version}/{TRAINING_FOLDER}", dst_path=str(folder))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"MLflow must be reachable to download {name}, but {store.describe_error(error)};"
            " start that server or unset MLFLOW_TRACKING_URI"
        ) from None
    info = {"model": name, "version": int(version.version), "training_digest": training_digest}
    (folder / DOWNLOAD_INFO).write_text(json.dumps(info))


def _find_version(
    client: MlflowClient, registered_name: str, pretrained: PretrainedWeights, remedy: str
) -> ModelVersion:
    versions = {int(v.version): v for v in client.search_model_versions(f"name = '{registered_name}'")}
    if not versions:
        raise ParamsError(
            f"model must be registered, but {registered_name} has no version in {store.display_uri()}; {remedy}"
        )
    if pretrained.version is not None:
        if pretrained.version not in versions:
            raise ParamsError(
                f"version must be one of {', '.join(map(str, sorted(versions)))} of {registered_name}, but is"
                f" {pretrained.version}; choose one of them"
            )
        return versions[pretrained.version]
    aliases = client.get_registered_model(registered_name).aliases
    if pretrained.alias not in aliases:
        raise ParamsError(
            f"alias must be one of {', '.join(sorted(aliases)) or 'none'} of {registered_name}, but is"
            f" {pretrained.alias!r}; choose one of them, or set `version` instead"
        )
    return versions[int(aliases[pretrained.alias])]


def main() -> None:
    """Download the version given on the command line."""
    try:
        download_version(PretrainedWeights.model_validate_json(sys.argv[1]), Path(sys.argv[2]))
    except FivefoldError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
