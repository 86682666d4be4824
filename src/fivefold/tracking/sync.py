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
from ..data.storage import MANIFEST, verify
from ..errors import ArtifactError, TrackingError
from ..stages.lock import locked
from . import stage_logs, store
from .reporter import Report
from .shipper import Shipper
from .spool import Spool, all_spools

WEEK = 7 * 24 * 3600
"""Seconds."""


def sync() -> Iterator[str]:
    """Send everything; yield a line for each run, and for each model that is damaged on disk and was passed over.

    Raises:
        TrackingError: MLflow cannot be reached, or refuses.
    """
    try:
        for spool in all_spools():
            if next(spool.unsent(), None) is not None:
                yield _send(spool)
        client, experiment = store.open_store()
        for folder in sorted(path.parent for path in Path("models").glob("*/model.json")):
            try:
                verify(folder)
                stages = list(_on_disk(folder.name))
            except ArtifactError as error:
                yield f"passed over: {error}"
                continue
            facts = json.loads((folder / "model.json").read_text())
            run_id = store.find_run(client, experiment, facts["fingerprint"])
            known = client.get_run(run_id).data.tags if run_id else {}
            if missing := [stage for stage in stages if stage_logs.DONE.format(stage) not in known]:
                yield _send(_tell_again(folder.name, facts, missing))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"MLflow must be reachable, but {store.trouble(error)}; start that server, or unset MLFLOW_TRACKING_URI"
        ) from None
    _prune()
    yield "MLflow has everything that is here"


def _on_disk(name: str) -> Iterator[str]:
    """Yield the stages whose outputs are there, whole, and of the model that is there, not of one before it."""
    yield "train"
    for stage, folder, manifest in (
        ("evaluate", paths.report(name), MANIFEST),
        ("export", paths.model(name), "export.json"),
    ):
        if (folder / manifest).exists() and _ran_on(f"{stage}@{name}", paths.model(name) / "model.json"):
            verify(folder, manifest)
            yield stage


def _ran_on(stage: str, path: Path) -> bool:
    """Say whether dvc.lock has it that `stage` last ran on the file that now lies at `path`."""
    if not paths.DVC_LOCK.exists():
        return False
    stages: dict[str, Any] = YAML(typ="safe").load(paths.DVC_LOCK.read_text())["stages"]
    found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    deps = stages.get(stage, {}).get("deps", ())
    return any(dep["path"] == path.as_posix() and dep["md5"] == found for dep in deps)


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


def _tell_again(name: str, facts: dict[str, Any], stages: list[str]) -> Spool:
    report = Report("train", name, facts["fingerprint"])
    if "train" in stages:
        with report.running():
            stage_logs.inputs(report, facts["params"])
            stage_logs.history(report, name)
            stage_logs.sheets(report, name)
            stage_logs.training(report, name)
    if "evaluate" in stages:
        stage_logs.evaluation(report, name)
    if "export" in stages:
        stage_logs.exported(report, name)
    return report.spool
