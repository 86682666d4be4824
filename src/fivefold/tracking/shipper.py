"""Upload a spool to MLflow: `python -m fivefold.tracking.shipper <fingerprint>`, in the background of a stage.

Sends events as they are appended until standard input is closed, then sends the rest and exits. If the stage ended
without a final status (kill -9), its run is marked KILLED; a resumed training continues the same run.
"""

import select
import sys
import time
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import NAMESPACE_OID, uuid5

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_IMAGES
from PIL import Image

from ..data.storage import sha256
from ..errors import BusyError, TrackingError
from ..stages.lock import hold_lock
from . import events, store
from .registry import register_version
from .spool import Spool

IMAGES_FOLDER = "images"
IMAGE_NAME = "{key}+step+{step}+timestamp+{step}+{uuid}"
"""File name as in `MlflowClient.log_image`, whose random UUID would duplicate an image that is sent again."""

POLL_SECONDS = 0.5
"""Seconds between two reads of the spool; metrics appended in between are sent in one call."""

METRIC_BATCH_SIZE = 1000
"""Maximum number of metrics per call in MLflow."""


def log_image(client: MlflowClient, run_id: str, event: events.Image, spool: Spool) -> None:
    """Log an image, replacing the previous one of its key and step; skip it if the file is missing or damaged."""
    spool_file = spool.file_path(event.spool_path)
    if not spool_file.exists() or sha256(spool_file) != event.sha256:
        print(f"skipped: {spool_file} is missing or damaged", flush=True)
        return
    uuid = uuid5(NAMESPACE_OID, f"{run_id}/{event.key}/{event.step}")
    name = IMAGE_NAME.format(key=event.key.replace("/", "~"), step=event.step, uuid=uuid)
    with TemporaryDirectory() as folder:
        original, preview = Path(folder) / f"{name}.png", Path(folder) / f"{name}+compressed.webp"
        original.write_bytes(spool_file.read_bytes())
        with Image.open(original) as image:
            image.save(preview, lossless=True)
        for path in (original, preview):
            client.log_artifact(run_id, str(path), IMAGES_FOLDER)
    client.set_tag(run_id, MLFLOW_LOGGED_IMAGES, True)


class Shipper:
    """Sends the events of a spool to MLflow, in order and each once."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.client, self.experiment_id = store.open_store()
        self.run_id = store.find_run(self.client, self.experiment_id, spool.fingerprint)
        self.is_training = False

    def send_unsent(self) -> None:
        """Send all events that were not sent yet."""
        for kind, group in groupby(self.spool.unsent_events(), key=lambda pair: type(pair[1])):
            pairs = list(group)
            if kind is events.Metrics:
                self._log_metrics([event for _, event in pairs if isinstance(event, events.Metrics)])
                self.spool.mark_sent(pairs[-1][0])
                continue
            for offset, event in pairs:
                self._log_event(event)
                self.spool.mark_sent(offset)
                if isinstance(event, events.Artifact | events.Image | events.ModelVersion):
                    for spool_path in event.spool_paths:
                        self.spool.delete_file(spool_path)

    def close(self) -> None:
        """End the run if it still is RUNNING: as KILLED if the stage was training, else as FINISHED."""
        if self.run_id and self.client.get_run(self.run_id).info.status == "RUNNING":
            status = "KILLED" if self.is_training else "FINISHED"
            self.client.set_terminated(self.run_id, status, end_time=int(time.time() * 1000))

    def _log_metrics(self, metric_events: Iterable[events.Metrics]) -> None:
        points = [Metric(name, value, e.time, e.step) for e in metric_events for name, value in e.values.items()]
        for i in range(0, len(points), METRIC_BATCH_SIZE):
            self.client.log_batch(self._require_run_id(), metrics=points[i : i + METRIC_BATCH_SIZE])

    def _log_event(self, event: events.Event) -> None:
        match event:
            case events.Run():
                self._create_run(event)
            case events.StatusChange(status="RUNNING"):
                self.client.update_run(self._require_run_id(), status="RUNNING")
                self.is_training = True
            case events.StatusChange():
                self.client.set_terminated(self._require_run_id(), event.status, end_time=event.time)
            case events.Params():
                self.client.log_batch(
                    self._require_run_id(), params=[Param(k, v[:6000]) for k, v in event.params.items()]
                )
            case events.Tags():
                self.client.log_batch(self._require_run_id(), tags=[RunTag(k, v) for k, v in event.tags.items()])
            case events.DatasetInput():
                entity = Dataset(event.name, event.digest, "local", event.source, event.columns, event.profile)
                tag = InputTag("mlflow.data.context", event.context)
                self.client.log_inputs(self._require_run_id(), datasets=[DatasetInput(entity, [tag])])
            case events.Artifact():
                self.client.log_artifact(
                    self._require_run_id(), str(self.spool.file_path(event.spool_path)), event.artifact_path or None
                )
            case events.Image():
                log_image(self.client, self._require_run_id(), event, self.spool)
            case events.ModelVersion():
                register_version(self.client, self._require_run_id(), event, self.spool)

    def _create_run(self, event: events.Run) -> None:
        if self.run_id is None:
            run = self.client.create_run(self.experiment_id, event.time, event.tags, event.name)
            self.run_id = run.info.run_id

    def _require_run_id(self) -> str:
        if self.run_id is None:
            raise TrackingError(
                f"the first event of {self.spool.events_file} must be a run, but is not;"
                f" delete {self.spool.folder} and run `fivefold sync`"
            )
        return self.run_id


def follow_spool(spool: Spool) -> None:
    """Send the events of `spool` as they are appended, until standard input is closed."""
    with hold_lock(spool.folder, timeout=600):
        shipper = Shipper(spool)
        is_closed = False
        while not is_closed:
            is_closed = bool(select.select([sys.stdin], [], [], POLL_SECONDS)[0])
            shipper.send_unsent()
        shipper.close()


def main() -> None:
    """Upload the spool given on the command line; print a message and exit with 1 if MLflow cannot be reached."""
    spool = Spool(sys.argv[1])
    try:
        follow_spool(spool)
    except (MlflowException, TrackingError, BusyError, OSError) as error:
        print(
            f"{store.describe_error(error)}; unsent events are stored in {spool.folder};"
            " run `fivefold sync` to send them",
            file=sys.stderr,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
