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
from ..stages.signals import Stopped
from ..training import image_grid
from . import events
from .lineage import dvc_digest, tags
from .spool import Spool
from .subprocesses import environment

PATIENCE = 60.0
"""Seconds that the last stage waits for its shipper."""

POINTS = 200
"""Points a metric gets at most: charts of thousands freeze browsers."""


ALARM = "doctor.{}"
"""Tag of a run: what the doctor says by one of its rules."""


class Report:
    """A stage's voice: appends to the spool of one run."""

    def __init__(self, stage: str, model: str, fingerprint: str) -> None:
        self.spool = Spool(fingerprint)
        self.spool.append(events.Run(name=model, time=_now(), tags=tags(f"{stage}@{model}", fingerprint)))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Say that the run is running, and at the end how it ended."""
        self._state("RUNNING")
        try:
            yield
        except Stopped:
            self._state("KILLED")
            raise
        except BaseException:
            self._state("FAILED")
            raise
        self._state("FINISHED")

    def _state(self, status: events.Status) -> None:
        self.spool.append(events.State(status=status, time=_now()))

    def params(self, tree: dict[str, Any]) -> None:
        """Say with which parameters the run was made: a tree of plain values, told by dotted key."""
        self.spool.append(events.Values(values={key(name): value for name, value in _flat(tree)}))

    def tags(self, **values: str) -> None:
        """Say what else is known of the run."""
        self.spool.append(events.Tags(tags=values))

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Say what was measured at a step."""
        named = {key(name): value for name, value in values.items()}
        self.spool.append(events.Metrics(step=step, time=_now(), values=named))

    def history(self, epochs: int) -> Callable[[int, dict[str, float], bool], None]:
        """Return what to call after each of at most `epochs` epochs: says `POINTS` of them or fewer, and the last.

        A training counts its epochs from 0; a person, and a step of MLflow's, from 1.
        What was said of an epoch since a training last finished is not said again: a resumed one repeats some.
        """
        apart = -(-epochs // POINTS)
        said = self._said(events.Metrics)

        def tell(epoch: int, values: dict[str, float], last: bool) -> None:
            if (epoch % apart == 0 or last) and epoch + 1 not in said:
                self.metrics(epoch + 1, values)

        return tell

    def sheets(self) -> Callable[[int, bytes], None]:
        """Return what to call with an epoch, 0 before the first, and a picture of what the model makes then, PNG.

        Nothing is said again, as by `history`.
        """
        said = self._said(events.Image)

        def tell(epoch: int, grid: bytes) -> None:
            if epoch not in said:
                place = self.spool.write(image_grid.NAME.format(epoch), grid)
                digest = hashlib.sha256(grid).hexdigest()
                self.spool.append(events.Image(place=place, sha256=digest, key=image_grid.KEY, step=epoch))

        return tell

    def _said(self, kind: type[events.Metrics | events.Image]) -> set[int]:
        """Return the steps that events of a kind told of since a training last finished."""
        said: set[int] = set()
        for event in self.spool.read():
            if isinstance(event, events.State) and event.status == "FINISHED":
                said.clear()
            elif isinstance(event, kind):
                said.add(event.step)
        return said

    def alarm(self, rule: str, text: str) -> None:
        """Say what the doctor says before a training has ended."""
        self.tags(**{ALARM.format(rule): text})

    def dataset(self, name: str, folder: Path, dataset: Dataset, digest: str) -> None:
        """Say which rows went in; DVC's digest of `folder` where dvc.lock has it, else `digest`."""
        schema = dataset.schema
        columns = [{"type": "double", "name": feature, "required": True} for feature in schema.features]
        spec = {"dtype": str(dataset.train.x.dtype), "shape": [-1, *schema.shape]}
        pixels = {"type": "tensor", "tensor-spec": spec}
        known = dvc_digest(folder) or digest[:36]  # the longest that MLflow takes
        for split, records in dataset.splits().items():
            self.spool.append(
                events.Input(
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

    def artifact(self, path: Path, folder: str = "") -> None:
        """Hand over a file to keep with the run."""
        self.spool.append(events.Artifact(place=self.spool.keep(path), folder=folder))

    def version(self, path: Path, training: Iterable[Path], **facts: Any) -> None:
        """Hand over an exported graph to register, and what train wrote; `facts` are the rest of `events.Version`."""
        trained = tuple(self.spool.keep(file) for file in training)
        self.spool.append(events.Version(place=self.spool.keep(path), training=trained, **facts))


@contextmanager
def reporting(stage: str, model: str, fingerprint: str, *, wait: bool = False) -> Iterator[Report]:
    """Yield a `Report`, with a shipper beside it that sends events as they come and the rest when the stage has ended.

    A stage does not wait for its shipper, and a shipper waits for the one before it: the last stage of a model says
    `wait`, and then all that was said of the model is in MLflow. MLflow out of reach costs a line on the screen:
    `fivefold sync` sends later what waits.
    """
    report = Report(stage, model, fingerprint)
    # a session of its own: Ctrl-C must not end it before it has told MLflow
    command = [sys.executable, "-m", "fivefold.tracking.shipper", fingerprint]
    shipper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, env=environment())
    if not wait:
        os.setpriority(os.PRIO_PROCESS, shipper.pid, 10)  # the stage has what it needs of the processor first
    try:
        yield report
    finally:
        if shipper.stdin:
            shipper.stdin.close()  # it sends what is left, and ends
        if wait:
            try:
                shipper.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                print(f"still sending to MLflow, in process {shipper.pid}", file=sys.stderr)


def key(name: str) -> str:
    """Return a name that MLflow takes: a target's column may be called anything."""
    return re.sub(r"[^\w.\- :/]|(?<=/)/+|/$", "_", name)


def _flat(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value) if isinstance(value, list | bool | None) else str(value)


def _now() -> int:
    return int(time.time() * 1000)
