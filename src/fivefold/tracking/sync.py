"""Bring MLflow up to what is on disk: send what waits, and tell of models that DVC restored without running a stage."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException

from .. import paths
from ..errors import TrackingError, one_line
from ..stages.lock import locked
from . import store, told
from .report import Report
from .ship import Shipper
from .spool import Spool, all_spools

WEEK = 7 * 24 * 3600
"""Seconds."""


def sync() -> Iterator[str]:
    """Send everything; yield a line for each run.

    Raises:
        TrackingError: MLflow cannot be reached, or refuses.
    """
    try:
        for spool in all_spools():
            if next(spool.unsent(), None) is not None:
                yield _send(spool)
        client, experiment = store.open_store()
        for path in sorted(Path("models").glob("*/model.json")):
            facts = json.loads(path.read_text())
            if store.find_run(client, experiment, facts["fingerprint"]) is None:
                yield _send(_tell_again(facts["name"], facts))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"MLflow at {store.uri()} must be reachable, but is not: {one_line(error)}; start it, or unset it"
        ) from None
    _prune()
    yield "MLflow has everything that is here"


def _prune() -> None:
    """Remove spools of which everything was sent, and nothing said for a week."""
    for spool in all_spools():
        quiet = not spool.events.exists() or time.time() - spool.events.stat().st_mtime > WEEK
        if quiet and next(spool.unsent(), None) is None:
            shutil.rmtree(spool.folder)


def _send(spool: Spool) -> str:
    with locked(spool.folder, patience=600):
        shipper = Shipper(spool)
        shipper.ship()
    return f"sent run {shipper.run_id} ({spool.fingerprint[:12]})"


def _tell_again(name: str, facts: dict[str, Any]) -> Spool:
    report = Report("train", name, facts["fingerprint"])
    with report.running():
        told.inputs(report, facts["params"])
        told.history(report, name)
        told.training(report, name)
    if (paths.report(name) / "metrics.json").exists():
        told.evaluation(report, name)
    if (paths.model(name) / "model.onnx").exists():
        told.exported(report, name)
    return report.spool
