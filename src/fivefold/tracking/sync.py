"""Synchronize MLflow with the files on disk: send unsent events, and log models restored by DVC without a stage run."""

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from ruamel.yaml import YAML

from .. import paths
from ..data.storage import MANIFEST, verify_manifest
from ..errors import ArtifactError, TrackingError
from ..stages.lock import hold_lock
from . import stage_logs, store
from .reporter import RunLogger
from .shipper import Shipper
from .spool import Spool, list_spools

RETENTION_SECONDS = 7 * 24 * 3600
"""Seconds after its last event at which a spool that was sent completely is deleted."""


def sync() -> Iterator[str]:
    """Send everything; yield a line for each run that was sent and each model that was skipped as damaged.

    Raises:
        TrackingError: MLflow cannot be reached or returned an error.
    """
    try:
        for spool in list_spools():
            if next(spool.unsent_events(), None) is not None:
                yield _send_spool(spool)
        client, experiment = store.open_store()
        for folder in sorted(path.parent for path in Path("models").glob("*/model.json")):
            try:
                verify_manifest(folder)
                stages = list(_completed_stages(folder.name))
            except ArtifactError as error:
                yield f"skipped: {error}"
                continue
            metadata = json.loads((folder / "model.json").read_text())
            run_id = store.find_run(client, experiment, metadata["fingerprint"])
            tags = client.get_run(run_id).data.tags if run_id else {}
            if missing := [stage for stage in stages if stage_logs.LOGGED_TAG.format(stage) not in tags]:
                yield _send_spool(_relog_model(folder.name, metadata, missing))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"MLflow must be reachable, but {store.describe_error(error)};"
            " start that server or unset MLFLOW_TRACKING_URI"
        ) from None
    _remove_old_spools()
    yield "MLflow is up to date"


def _completed_stages(model_name: str) -> Iterator[str]:
    """Yield the stages whose outputs are complete and were computed from the current model."""
    yield "train"
    for stage, folder, manifest in (
        ("evaluate", paths.report_dir(model_name), MANIFEST),
        ("export", paths.model_dir(model_name), "export.json"),
    ):
        if (folder / manifest).exists() and _is_lock_current(
            f"{stage}@{model_name}", paths.model_dir(model_name) / "model.json"
        ):
            verify_manifest(folder, manifest)
            yield stage


def _is_lock_current(stage: str, path: Path) -> bool:
    """Return whether, according to dvc.lock, `stage` last ran on the current content of `path`."""
    if not paths.DVC_LOCK.exists():
        return False
    stages: dict[str, Any] = YAML(typ="safe").load(paths.DVC_LOCK.read_text())["stages"]
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    deps = stages.get(stage, {}).get("deps", ())
    return any(dep["path"] == path.as_posix() and dep["md5"] == digest for dep in deps)


def _remove_old_spools() -> None:
    """Delete the spools that were sent completely and have had no new event for `RETENTION_SECONDS`."""
    for spool in list_spools():
        is_old = not spool.events_file.exists() or time.time() - spool.events_file.stat().st_mtime > RETENTION_SECONDS
        if is_old and next(spool.unsent_events(), None) is None:
            shutil.rmtree(spool.folder)


def _send_spool(spool: Spool) -> str:
    with hold_lock(spool.folder, timeout=600):
        shipper = Shipper(spool)
        shipper.send_unsent()
    return f"sent run {shipper.run_id} ({spool.fingerprint[:12]})"


def _relog_model(model_name: str, metadata: dict[str, Any], stages: list[str]) -> Spool:
    """Append what `stages` log about a model to its spool, from their outputs."""
    run_logger = RunLogger("train", model_name, metadata["fingerprint"])
    if "train" in stages:
        with run_logger.track_status():
            stage_logs.log_inputs(run_logger, metadata["params"])
            stage_logs.log_history(run_logger, model_name)
            stage_logs.log_samples(run_logger, model_name)
            stage_logs.log_training(run_logger, model_name)
    if "evaluate" in stages:
        stage_logs.log_evaluation(run_logger, model_name)
    if "export" in stages:
        stage_logs.log_export(run_logger, model_name)
    return run_logger.spool
