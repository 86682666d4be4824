"""Send a spool to MLflow: `python -m fivefold.tracking.shipper <fingerprint>`, beside the stage that fills it.

Follows the spool until its standard input ends, sends what is left, and ends. A run that its stage left without a
last word (kill -9) is marked KILLED; when training goes on, it is the same run.

Pictures of steps, which MLflow's UI shows as a series with a slider.
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
"""As `MlflowClient.log_image` names its files; that one draws a number by chance, and sent again, a picture is two."""


def log_image(client: MlflowClient, run_id: str, event: events.Image, spool: Spool) -> None:
    """Log a picture, in place of what was logged for its key and step before; pass over one that is not whole."""
    origin = spool.file_path(event.spool_path)
    if not origin.exists() or sha256(origin) != event.sha256:
        print(f"passed over: {origin} is not the picture that was drawn", flush=True)
        return
    uuid = uuid5(NAMESPACE_OID, f"{run_id}/{event.key}/{event.step}")
    name = IMAGE_NAME.format(key=event.key.replace("/", "~"), step=event.step, uuid=uuid)
    with TemporaryDirectory() as folder:
        whole, shown = Path(folder) / f"{name}.png", Path(folder) / f"{name}+compressed.webp"
        whole.write_bytes(origin.read_bytes())
        with Image.open(whole) as picture:
            picture.save(shown, lossless=True)
        for path in (whole, shown):
            client.log_artifact(run_id, str(path), IMAGES_FOLDER)
    client.set_tag(run_id, MLFLOW_LOGGED_IMAGES, True)


POLL_SECONDS = 0.5
"""Seconds between two looks at the spool; what came in between goes out in one call."""

METRIC_BATCH_SIZE = 1000
"""Metrics that MLflow takes in one call."""


class Shipper:
    """Sends the events of one spool, in order, each once."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.client, self.experiment_id = store.open_store()
        self.run_id = store.find_run(self.client, self.experiment_id, spool.fingerprint)
        self.is_training = False

    def send_unsent(self) -> None:
        """Send what was not sent yet."""
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
                    for place in event.spool_paths:
                        self.spool.delete_file(place)

    def close(self) -> None:
        """Mark the run KILLED if it was training, and its stage ended without a word."""
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
                f"{self.spool.events_file} must begin with its run, but does not;"
                f" remove {self.spool.folder} and run `fivefold sync`"
            )
        return self.run_id


def follow_spool(spool: Spool) -> None:
    """Send the events of `spool` as they come, until standard input ends."""
    with hold_lock(spool.folder, timeout=600):
        shipper = Shipper(spool)
        ended = False
        while not ended:
            ended = bool(select.select([sys.stdin], [], [], POLL_SECONDS)[0])
            shipper.send_unsent()
        shipper.close()


def main() -> None:
    """Follow the spool that the command line names; exit code 1, and one line, if MLflow cannot be reached."""
    spool = Spool(sys.argv[1])
    try:
        follow_spool(spool)
    except (MlflowException, TrackingError, BusyError, OSError) as error:
        print(
            f"{store.describe_error(error)}; what was measured waits in {spool.folder}, and `fivefold sync` sends it",
            file=sys.stderr,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
