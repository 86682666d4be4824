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

from ..config.training import Start
from ..errors import FivefoldError, ParamsError, TrackingError
from . import store
from .registry import FOLDER, TRAINED

FACTS = "pulled.json"


def pull(start: Start, folder: Path) -> None:
    """Fetch the version that `start` names into `folder`.

    Raises:
        ParamsError: the registry has no such model, alias or version, or not its weights.
        TrackingError: the store is not there, or refuses.
    """
    title, remedy = f"fivefold-{start.model}", f"run `dvc repro export@{start.model}`, which registers it"
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        client, _ = store.open_store()
        version = _version(client, title, start, remedy)
        trained = version.tags.get(TRAINED)
        if trained is None:
            raise ParamsError(f"{title} version {version.version} must have its weights, but has not; {remedy} anew")
        mlflow.set_tracking_uri(client.tracking_uri)  # an argument would not reach the registry
        download_artifacts(f"models:/{title}/{version.version}/{FOLDER}", dst_path=str(folder))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"MLflow must be reachable to start from {title}, but {store.trouble(error)};"
            " start that server, or unset MLFLOW_TRACKING_URI"
        ) from None
    (folder / FACTS).write_text(json.dumps({"model": title, "version": int(version.version), "trained": trained}))


def _version(client: MlflowClient, title: str, start: Start, remedy: str) -> ModelVersion:
    found = {int(v.version): v for v in client.search_model_versions(f"name = '{title}'")}
    if not found:
        raise ParamsError(f"model must be registered, but {title} has no version in {store.where()}; {remedy}")
    if start.version is not None:
        if start.version not in found:
            raise ParamsError(
                f"version must be one of {', '.join(map(str, sorted(found)))} of {title}, but is {start.version};"
                " choose one of them"
            )
        return found[start.version]
    aliases = client.get_registered_model(title).aliases
    if start.alias not in aliases:
        raise ParamsError(
            f"alias must be one of {', '.join(sorted(aliases)) or 'none'} of {title}, but is {start.alias!r};"
            " choose one of them, or name a version"
        )
    return found[int(aliases[start.alias])]


def main() -> None:
    """Fetch what the command line names."""
    try:
        pull(Start.model_validate_json(sys.argv[1]), Path(sys.argv[2]))
    except FivefoldError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
