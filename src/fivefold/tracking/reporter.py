"""Log the run of a stage to its spool, and start the background process that uploads the spool to MLflow."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..data.dataset import Dataset
from ..stages.signals import StopRequested
from ..training import image_grid
from . import events
from .lineage import dvc_output_digest, run_tags
from .spool import Spool
from .subprocesses import subprocess_environment

SHIPPER_TIMEOUT = 60.0
"""Seconds that the last stage of a model waits for the upload."""

MAX_POINTS = 200
"""Maximum number of points per metric, because charts with thousands of points freeze browsers."""

DIAGNOSTICS_TAG = "diagnostics.{}"
"""Tag of a run: the finding of a rule of the training diagnostics."""


class RunLogger:
    """Logs the run of a stage by appending events to its spool."""

    def __init__(self, stage: str, model: str, fingerprint: str) -> None:
        self.spool = Spool(fingerprint)
        self.spool.append(events.Run(name=model, time=_now_ms(), tags=run_tags(f"{stage}@{model}", fingerprint)))

    @contextmanager
    def track_status(self) -> Iterator[None]:
        """Log the status RUNNING on entry, and FINISHED, FAILED or KILLED on exit."""
        self._log_status("RUNNING")
        try:
            yield
        except StopRequested:
            self._log_status("KILLED")
            raise
        except BaseException:
            self._log_status("FAILED")
            raise
        self._log_status("FINISHED")

    def _log_status(self, status: events.Status) -> None:
        self.spool.append(events.StatusChange(status=status, time=_now_ms()))

    def log_params(self, params: dict[str, Any]) -> None:
        """Log the parameters of the run: nested plain values, flattened to dotted keys."""
        self.spool.append(events.Params(params={sanitize_name(name): value for name, value in _flatten_params(params)}))

    def set_tags(self, **tags: str) -> None:
        """Set tags of the run."""
        self.spool.append(events.Tags(tags=tags))

    def log_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Log the metrics of a step."""
        values = {sanitize_name(name): value for name, value in metrics.items()}
        self.spool.append(events.Metrics(step=step, time=_now_ms(), values=values))

    def epoch_logger(self, max_epochs: int) -> Callable[[int, dict[str, float], bool], None]:
        """Return a function to call after each epoch; it logs at most `MAX_POINTS` epochs, and the last one.

        Its arguments are the epoch, counted from 0 (the logged step counts from 1), the metrics, and whether it is the
        last epoch. Epochs that were logged since a training last finished are skipped, because a resumed training
        repeats some.
        """
        interval = -(-max_epochs // MAX_POINTS)
        logged = self._logged_steps(events.Metrics)

        def log_epoch(epoch: int, values: dict[str, float], last: bool) -> None:
            if (epoch % interval == 0 or last) and epoch + 1 not in logged:
                self.log_metrics(epoch + 1, values)

        return log_epoch

    def sample_logger(self) -> Callable[[int, bytes], None]:
        """Return a function to call with an epoch, 0 before the first one, and a PNG grid of generated samples.

        Epochs that were logged already are skipped, as by `epoch_logger`.
        """
        logged = self._logged_steps(events.Image)

        def log_grid(epoch: int, grid: bytes) -> None:
            if epoch not in logged:
                path = self.spool.write_file(image_grid.PNG_NAME.format(epoch), grid)
                digest = hashlib.sha256(grid).hexdigest()
                self.spool.append(events.Image(spool_path=path, sha256=digest, key=image_grid.MLFLOW_KEY, step=epoch))

        return log_grid

    def _logged_steps(self, event_type: type[events.Metrics | events.Image]) -> set[int]:
        """Return the steps of the events of a type since a training last finished."""
        steps: set[int] = set()
        for event in self.spool.read_events():
            if isinstance(event, events.StatusChange) and event.status == "FINISHED":
                steps.clear()
            elif isinstance(event, event_type):
                steps.add(event.step)
        return steps

    def log_diagnosis(self, rule: str, text: str) -> None:
        """Log a finding of the training diagnostics as a tag."""
        self.set_tags(**{DIAGNOSTICS_TAG.format(rule): text})

    def log_dataset(self, name: str, folder: Path, dataset: Dataset, digest: str) -> None:
        """Log the splits of a dataset as inputs, with DVC's digest of `folder` if dvc.lock has one, else `digest`."""
        schema = dataset.schema
        columns = [{"type": "double", "name": feature, "required": True} for feature in schema.features]
        spec = {"dtype": str(dataset.train.x.dtype), "shape": [-1, *schema.shape]}
        tensor = {"type": "tensor", "tensor-spec": spec}
        dataset_digest = dvc_output_digest(folder) or digest[:36]  # the maximum length in MLflow
        for split, rows in dataset.splits().items():
            self.spool.append(
                events.DatasetInput(
                    name=f"{name}.{split}",
                    digest=dataset_digest,
                    context=split,
                    source=json.dumps({"uri": f"{folder}/{split}"}),
                    columns=json.dumps(
                        {"mlflow_colspec": columns}
                        if schema.kind == "table"
                        else {"mlflow_tensorspec": {"features": json.dumps([tensor]), "targets": None}}
                    ),
                    profile=json.dumps({"num_rows": len(rows), "classes": list(schema.classes)}),
                )
            )

    def log_artifact(self, path: Path, artifact_path: str = "") -> None:
        """Log a file as an artifact of the run."""
        self.spool.append(events.Artifact(spool_path=self.spool.copy_file(path), artifact_path=artifact_path))

    def log_model_version(self, path: Path, training_files: Iterable[Path], **metadata: Any) -> None:
        """Log an exported graph to register, with the outputs of train; metadata: other fields of `ModelVersion`."""
        spool_paths = tuple(self.spool.copy_file(file) for file in training_files)
        self.spool.append(
            events.ModelVersion(spool_path=self.spool.copy_file(path), training_files=spool_paths, **metadata)
        )


@contextmanager
def open_run_logger(stage: str, model: str, fingerprint: str, *, wait: bool = False) -> Iterator[RunLogger]:
    """Yield a `RunLogger` whose events a background process uploads as they are logged.

    A stage does not wait for the upload, but an upload waits for the previous one of the same run. With `wait`, used by
    the last stage of a model, the context exits when everything is in MLflow or after `SHIPPER_TIMEOUT` seconds. If
    MLflow cannot be reached, a message is printed and `fivefold sync` sends the events later.
    """
    run_logger = RunLogger(stage, model, fingerprint)
    # in its own session, because Ctrl-C must not stop the upload
    command = [sys.executable, "-m", "fivefold.tracking.shipper", fingerprint]
    shipper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, env=subprocess_environment())
    if not wait:
        os.setpriority(os.PRIO_PROCESS, shipper.pid, 10)  # the stage has priority
    try:
        yield run_logger
    finally:
        if shipper.stdin:
            shipper.stdin.close()  # the signal to send the remaining events and exit
        if wait:
            try:
                shipper.wait(SHIPPER_TIMEOUT)
            except subprocess.TimeoutExpired:
                print(f"upload to MLflow continues in process {shipper.pid}", file=sys.stderr)


def sanitize_name(name: str) -> str:
    """Return a name with the characters that MLflow rejects replaced; column names may contain any."""
    return re.sub(r"[^\w.\- :/]|(?<=/)/+|/$", "_", name)


def _flatten_params(params: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in params.items():
        if isinstance(value, dict):
            yield from _flatten_params(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value) if isinstance(value, list | bool | None) else str(value)


def _now_ms() -> int:
    return int(time.time() * 1000)
