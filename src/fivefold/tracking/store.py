"""The MLflow store: SQLite and a folder of artifacts under mlruns/, or the server that MLFLOW_TRACKING_URI names.

The MLflow UI on the project's own store.
"""

import logging
import os
import socket
import sys
from urllib.parse import urlsplit

import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from .. import paths
from ..errors import TrackingError, one_line_message
from ..stages.lock import hold_lock

EXPERIMENT = "fivefold"
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Has MLflow's UI show runs and metrics first, not traces of language models."""

logging.getLogger("mlflow").setLevel(logging.WARNING)

# A server that is down must cost seconds: MLflow's own defaults wait for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


def tracking_uri() -> str:
    """Return the store's address."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{paths.mlflow_dir().resolve() / 'mlflow.db'}"


def display_uri() -> str:
    """Return the store's address as it may be shown: without a password."""
    address = tracking_uri()
    netloc = urlsplit(address).netloc
    return address.replace(netloc, netloc.rpartition("@")[2], 1)


def describe_error(error: BaseException) -> str:
    """Return what is wrong with the store, in a few words: nothing answers there, or what it says."""
    causes: list[BaseException | None] = [error]
    while causes[-1] is not None:
        causes.append(causes[-1].__cause__ or causes[-1].__context__)
    if any(isinstance(cause, requests.ConnectionError | requests.Timeout) for cause in causes):
        return f"nothing answers at {display_uri()}"
    return f"MLflow at {display_uri()} says: {one_line_message(error)}"


def artifacts_uri() -> str:
    """Return the address of the local folder of artifacts."""
    return (paths.mlflow_dir().resolve() / "artifacts").as_uri()


def open_store(name: str = EXPERIMENT) -> tuple[MlflowClient, str]:
    """Return a client of the store and the id of an experiment, both made if need be.

    Under a lock: several processes that open a fresh SQLite store at once ruin it for good.
    """
    address = tracking_uri()
    location = artifacts_uri() if address.startswith("sqlite:") else None
    with hold_lock(paths.project_root() / ".fivefold/store", timeout=60):
        client = MlflowClient(address)
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return client, experiment.experiment_id
        try:
            return client, client.create_experiment(name, artifact_location=location, tags=EXPERIMENT_TAGS)
        except MlflowException:  # another machine made it in between
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
            return client, experiment.experiment_id


def find_run(client: MlflowClient, experiment_id: str, fingerprint: str) -> str | None:
    """Return the id of the run of a trained state, None if the store has none."""
    found = client.search_runs([experiment_id], f"tags.`fivefold.fingerprint` = '{fingerprint}'", max_results=1)
    return found[0].info.run_id if found else None


def serve_ui(host: str, port: int) -> None:
    """Replace this process by MLflow's server; Ctrl-C ends it.

    MLflow's job runner, which this project has no use for, would start seven more processes.

    Raises:
        TrackingError: MLFLOW_TRACKING_URI names a server, which has a UI of its own; or the port is taken.
    """
    if tracking_uri().startswith("http"):
        raise TrackingError(
            f"MLFLOW_TRACKING_URI must be unset to show the project's own store, but is {tracking_uri()!r};"
            " unset it, or open that address"
        )
    try:
        if port not in range(1, 2**16):
            raise OSError("a port is a number from 1 to 65535")
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        raise TrackingError(
            f"{host}:{port} must be a free address of this machine, but is not: {one_line_message(error)}; choose another"
            " --port or --host"
        ) from None
    open_store()
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    where = ["--backend-store-uri", tracking_uri(), "--default-artifact-root", artifacts_uri()]
    print(f"MLflow on http://{host}:{port}, store {tracking_uri()}", flush=True)
    os.execv(
        sys.executable,
        [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            host,
            "--port",
            str(port),
            "--workers",
            "1",
            *where,
        ],
    )
