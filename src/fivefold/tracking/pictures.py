"""Pictures of steps, which MLflow's UI shows as a series with a slider."""

from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import NAMESPACE_OID, uuid5

from mlflow import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_IMAGES
from PIL import Image

from ..data.storage import sha256
from . import events
from .spool import Spool

FOLDER = "images"
NAME = "{key}+step+{step}+timestamp+{step}+{uuid}"
"""As `MlflowClient.log_image` names its files; that one draws a number by chance, and sent again, a picture is two."""


def log(client: MlflowClient, run_id: str, event: events.Image, spool: Spool) -> None:
    """Log a picture, in place of what was logged for its key and step before; pass over one that is not whole."""
    origin = spool.file(event.place)
    if not origin.exists() or sha256(origin) != event.sha256:
        print(f"passed over: {origin} is not the picture that was drawn", flush=True)
        return
    uuid = uuid5(NAMESPACE_OID, f"{run_id}/{event.key}/{event.step}")
    name = NAME.format(key=event.key.replace("/", "~"), step=event.step, uuid=uuid)
    with TemporaryDirectory() as folder:
        whole, shown = Path(folder) / f"{name}.png", Path(folder) / f"{name}+compressed.webp"
        whole.write_bytes(origin.read_bytes())
        with Image.open(whole) as picture:
            picture.save(shown, lossless=True)
        for path in (whole, shown):
            client.log_artifact(run_id, str(path), FOLDER)
    client.set_tag(run_id, MLFLOW_LOGGED_IMAGES, True)
