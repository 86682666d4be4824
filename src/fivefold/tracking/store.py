"""The MLflow store, by default SQLite and artifacts under mlruns/, else MLFLOW_TRACKING_URI; and its UI."""

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
"""With this kind, MLflow's UI opens on runs and metrics, not on traces of language models."""

logging.getLogger("mlflow").setLevel(logging.WARNING)

# An unreachable server must be reported within seconds; MLflow's defaults wait for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


def tracking_uri() -> str:
    """Return the URI of the store."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{paths.mlflow_dir().resolve() / 'mlflow.db'}"


def display_uri() -> str:
    """Return the URI of the store without credentials."""
    uri = tracking_uri()
    netloc = urlsplit(uri).netloc
    return uri.replace(netloc, netloc.rpartition("@")[2], 1)


def describe_error(error: BaseException) -> str:
    """Return a short message: that the store cannot be reached, or the error that it returned."""
    causes: list[BaseException | None] = [error]
    while causes[-1] is not None:
        causes.append(causes[-1].__cause__ or causes[-1].__context__)
    if any(isinstance(cause, requests.ConnectionError | requests.Timeout) for cause in causes):
        return f"no response from {display_uri()}"
    return f"MLflow at {display_uri()} returned: {one_line_message(error)}"


def artifacts_uri() -> str:
    """Return the URI of the local artifact folder."""
    return (paths.mlflow_dir().resolve() / "artifacts").as_uri()


def open_store(name: str = EXPERIMENT) -> tuple[MlflowClient, str]:
    """Return a client of the store and the id of an experiment; both are created if they do not exist.

    A lock is held, because several processes that initialize a SQLite store at the same time corrupt it.
    """
    uri = tracking_uri()
    location = artifacts_uri() if uri.startswith("sqlite:") else None
    with hold_lock(paths.project_root() / ".fivefold/store", timeout=60):
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return client, experiment.experiment_id
        try:
            return client, client.create_experiment(name, artifact_location=location, tags=EXPERIMENT_TAGS)
        except MlflowException:  # another machine may have created it in the meantime
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
            return client, experiment.experiment_id


def find_run(client: MlflowClient, experiment_id: str, fingerprint: str) -> str | None:
    """Return the id of the run with a fingerprint; None if there is none."""
    runs = client.search_runs([experiment_id], f"tags.`fivefold.fingerprint` = '{fingerprint}'", max_results=1)
    return runs[0].info.run_id if runs else None


def serve_ui(host: str, port: int) -> None:
    """Replace this process by MLflow's server; Ctrl-C stops it.

    MLflow's job runner, which would start seven more processes, is disabled.

    Raises:
        TrackingError: MLFLOW_TRACKING_URI is the URL of a server, which has a UI of its own, or the port is not free.
    """
    if tracking_uri().startswith("http"):
        raise TrackingError(
            f"MLFLOW_TRACKING_URI must be unset to show the local store, but is {tracking_uri()!r};"
            " unset it or open that URL"
        )
    try:
        if port not in range(1, 2**16):
            raise OSError("port must be from 1 to 65535")
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        raise TrackingError(
            f"{host}:{port} must be a free address of this machine, but is not: {one_line_message(error)};"
            " choose another --port or --host"
        ) from None
    open_store()
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    store_options = ["--backend-store-uri", tracking_uri(), "--default-artifact-root", artifacts_uri()]
    print(f"MLflow on http://{host}:{port}, store {tracking_uri()}", flush=True)
    os.execv(sys.executable, [*command, *store_options])
