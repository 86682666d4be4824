"""The MLflow UI on the project's own store."""

import os
import socket
import sys

from ..errors import TrackingError, one_line
from .store import artifacts, open_store, uri


def serve(host: str, port: int) -> None:
    """Replace this process by MLflow's server; Ctrl-C ends it.

    MLflow's job runner, which this project has no use for, would start seven more processes.

    Raises:
        TrackingError: MLFLOW_TRACKING_URI names a server, which has a UI of its own; or the port is taken.
    """
    if uri().startswith("http"):
        raise TrackingError(
            f"MLFLOW_TRACKING_URI must be unset to show the project's own store, but is {uri()!r};"
            " unset it, or open that address"
        )
    try:
        if port not in range(1, 2**16):
            raise OSError("a port is a number from 1 to 65535")
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        raise TrackingError(
            f"{host}:{port} must be a free address of this machine, but is not: {one_line(error)}; choose another"
            " --port or --host"
        ) from None
    open_store()
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    where = ["--backend-store-uri", uri(), "--default-artifact-root", artifacts()]
    print(f"MLflow on http://{host}:{port}, store {uri()}", flush=True)
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
