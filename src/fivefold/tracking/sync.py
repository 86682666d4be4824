"""Bring MLflow up to what is on disk: send what waits, and tell of models that DVC restored without running a stage."""

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
"""Seconds."""


def sync() -> Iterator[str]:
    """Send everything; yield a line for each run, and for each model that is damaged on disk and was passed over.

    Raises:
        TrackingError: MLflow cannot be reached, or refuses.
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
                yield f"passed over: {error}"
                continue
            facts = json.loads((folder / "model.json").read_text())
            run_id = store.find_run(client, experiment, facts["fingerprint"])
            known = client.get_run(run_id).data.tags if run_id else {}
            if missing := [stage for stage in stages if stage_logs.LOGGED_TAG.format(stage) not in known]:
                yield _send_spool(_relog_model(folder.name, facts, missing))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"MLflow must be reachable, but {store.describe_error(error)}; start that server, or unset MLFLOW_TRACKING_URI"
        ) from None
    _remove_old_spools()
    yield "MLflow has everything that is here"


def _completed_stages(model_name: str) -> Iterator[str]:
    """Yield the stages whose outputs are there, whole, and of the model that is there, not of one before it."""
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
    """Say whether dvc.lock has it that `stage` last ran on the file that now lies at `path`."""
    if not paths.DVC_LOCK.exists():
        return False
    stages: dict[str, Any] = YAML(typ="safe").load(paths.DVC_LOCK.read_text())["stages"]
    found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    deps = stages.get(stage, {}).get("deps", ())
    return any(dep["path"] == path.as_posix() and dep["md5"] == found for dep in deps)


def _remove_old_spools() -> None:
    """Remove spools of which everything was sent, and nothing said for a week."""
    for spool in list_spools():
        quiet = not spool.events_file.exists() or time.time() - spool.events_file.stat().st_mtime > RETENTION_SECONDS
        if quiet and next(spool.unsent_events(), None) is None:
            shutil.rmtree(spool.folder)


def _send_spool(spool: Spool) -> str:
    with hold_lock(spool.folder, timeout=600):
        shipper = Shipper(spool)
        shipper.send_unsent()
    return f"sent run {shipper.run_id} ({spool.fingerprint[:12]})"


def _relog_model(model_name: str, metadata: dict[str, Any], stages: list[str]) -> Spool:
    report = RunLogger("train", model_name, metadata["fingerprint"])
    if "train" in stages:
        with report.track_status():
            stage_logs.log_inputs(report, metadata["params"])
            stage_logs.log_history(report, model_name)
            stage_logs.log_samples(report, model_name)
            stage_logs.log_training(report, model_name)
    if "evaluate" in stages:
        stage_logs.log_evaluation(report, model_name)
    if "export" in stages:
        stage_logs.log_export(report, model_name)
    return report.spool
