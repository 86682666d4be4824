"""What stages say of their run, and the process beside them that sends it on."""

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
"""Seconds that the last stage waits for its shipper."""

MAX_POINTS = 200
"""Points a metric gets at most: charts of thousands freeze browsers."""


DIAGNOSTICS_TAG = "diagnostics.{}"
"""Tag of a run: what the doctor says by one of its rules."""


class RunLogger:
    """A stage's voice: appends to the spool of one run."""

    def __init__(self, stage: str, model: str, fingerprint: str) -> None:
        self.spool = Spool(fingerprint)
        self.spool.append(events.Run(name=model, time=_now_ms(), tags=run_tags(f"{stage}@{model}", fingerprint)))

    @contextmanager
    def track_status(self) -> Iterator[None]:
        """Say that the run is running, and at the end how it ended."""
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
        """Say with which parameters the run was made: a tree of plain values, told by dotted key."""
        self.spool.append(events.Params(params={sanitize_name(name): value for name, value in _flatten_params(params)}))

    def set_tags(self, **tags: str) -> None:
        """Say what else is known of the run."""
        self.spool.append(events.Tags(tags=tags))

    def log_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Say what was measured at a step."""
        named = {sanitize_name(name): value for name, value in metrics.items()}
        self.spool.append(events.Metrics(step=step, time=_now_ms(), values=named))

    def epoch_logger(self, max_epochs: int) -> Callable[[int, dict[str, float], bool], None]:
        """Return what to call after each of at most `epochs` epochs: says `POINTS` of them or fewer, and the last.

        A training counts its epochs from 0; a person, and a step of MLflow's, from 1.
        What was said of an epoch since a training last finished is not said again: a resumed one repeats some.
        """
        apart = -(-max_epochs // MAX_POINTS)
        said = self._logged_steps(events.Metrics)

        def tell(epoch: int, values: dict[str, float], last: bool) -> None:
            if (epoch % apart == 0 or last) and epoch + 1 not in said:
                self.log_metrics(epoch + 1, values)

        return tell

    def sample_logger(self) -> Callable[[int, bytes], None]:
        """Return what to call with an epoch, 0 before the first, and a picture of what the model makes then, PNG.

        Nothing is said again, as by `history`.
        """
        said = self._logged_steps(events.Image)

        def tell(epoch: int, grid: bytes) -> None:
            if epoch not in said:
                place = self.spool.write_file(image_grid.PNG_NAME.format(epoch), grid)
                digest = hashlib.sha256(grid).hexdigest()
                self.spool.append(events.Image(spool_path=place, sha256=digest, key=image_grid.MLFLOW_KEY, step=epoch))

        return tell

    def _logged_steps(self, event_type: type[events.Metrics | events.Image]) -> set[int]:
        """Return the steps that events of a kind told of since a training last finished."""
        said: set[int] = set()
        for event in self.spool.read_events():
            if isinstance(event, events.StatusChange) and event.status == "FINISHED":
                said.clear()
            elif isinstance(event, event_type):
                said.add(event.step)
        return said

    def log_diagnosis(self, rule: str, text: str) -> None:
        """Say what the doctor says before a training has ended."""
        self.set_tags(**{DIAGNOSTICS_TAG.format(rule): text})

    def log_dataset(self, name: str, folder: Path, dataset: Dataset, digest: str) -> None:
        """Say which rows went in; DVC's digest of `folder` where dvc.lock has it, else `digest`."""
        schema = dataset.schema
        columns = [{"type": "double", "name": feature, "required": True} for feature in schema.features]
        spec = {"dtype": str(dataset.train.x.dtype), "shape": [-1, *schema.shape]}
        pixels = {"type": "tensor", "tensor-spec": spec}
        known = dvc_output_digest(folder) or digest[:36]  # the longest that MLflow takes
        for split, records in dataset.splits().items():
            self.spool.append(
                events.DatasetInput(
                    name=f"{name}.{split}",
                    digest=known,
                    context=split,
                    source=json.dumps({"uri": f"{folder}/{split}"}),
                    columns=json.dumps(
                        {"mlflow_colspec": columns}
                        if schema.kind == "table"
                        else {"mlflow_tensorspec": {"features": json.dumps([pixels]), "targets": None}}
                    ),
                    profile=json.dumps({"num_rows": len(records), "classes": list(schema.classes)}),
                )
            )

    def log_artifact(self, path: Path, artifact_path: str = "") -> None:
        """Hand over a file to keep with the run."""
        self.spool.append(events.Artifact(spool_path=self.spool.copy_file(path), artifact_path=artifact_path))

    def log_model_version(self, path: Path, training_files: Iterable[Path], **metadata: Any) -> None:
        """Hand over an exported graph to register, and what train wrote; `facts` are the rest of `events.Version`."""
        trained = tuple(self.spool.copy_file(file) for file in training_files)
        self.spool.append(
            events.ModelVersion(spool_path=self.spool.copy_file(path), training_files=trained, **metadata)
        )


@contextmanager
def open_run_logger(stage: str, model: str, fingerprint: str, *, wait: bool = False) -> Iterator[RunLogger]:
    """Yield a `Report`, with a shipper beside it that sends events as they come and the rest when the stage has ended.

    A stage does not wait for its shipper, and a shipper waits for the one before it: the last stage of a model says
    `wait`, and then all that was said of the model is in MLflow. MLflow out of reach costs a line on the screen:
    `fivefold sync` sends later what waits.
    """
    report = RunLogger(stage, model, fingerprint)
    # a session of its own: Ctrl-C must not end it before it has told MLflow
    command = [sys.executable, "-m", "fivefold.tracking.shipper", fingerprint]
    shipper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, env=subprocess_environment())
    if not wait:
        os.setpriority(os.PRIO_PROCESS, shipper.pid, 10)  # the stage has what it needs of the processor first
    try:
        yield report
    finally:
        if shipper.stdin:
            shipper.stdin.close()  # it sends what is left, and ends
        if wait:
            try:
                shipper.wait(SHIPPER_TIMEOUT)
            except subprocess.TimeoutExpired:
                print(f"still sending to MLflow, in process {shipper.pid}", file=sys.stderr)


def sanitize_name(name: str) -> str:
    """Return a name that MLflow takes: a target's column may be called anything."""
    return re.sub(r"[^\w.\- :/]|(?<=/)/+|/$", "_", name)


def _flatten_params(params: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in params.items():
        if isinstance(value, dict):
            yield from _flatten_params(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value) if isinstance(value, list | bool | None) else str(value)


def _now_ms() -> int:
    return int(time.time() * 1000)
