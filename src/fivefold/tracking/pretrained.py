"""A registered model as a stage gets it: fetched by a process beside it, checked, rebuilt."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ..config.training import Start
from ..data.storage import MANIFEST, digest
from ..errors import ArtifactError, ParamsError, TrackingError, one_line
from ..models.serialization import load_model
from ..models.transfer import Source
from .subprocesses import environment


def pulled(name: str, start: Start | None) -> Source | None:
    """Return the version that `start` of model `name` says; None if it says nothing.

    Raises:
        ParamsError: the registry has no such version.
        TrackingError: MLflow is out of reach.
        ArtifactError: what it has is not what was registered.
    """
    if start is None:
        return None
    with TemporaryDirectory() as place:
        command = [sys.executable, "-m", "fivefold.tracking.download", start.model_dump_json(), place]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
        if done.returncode:
            said = done.stderr.strip().rpartition("\n")[2]
            kind = ParamsError if done.returncode == ParamsError.exit_code else TrackingError
            raise kind(f"models.{name}.training.start: {said}")
        facts = json.loads((Path(place) / "pulled.json").read_text())
        return _rebuilt(Path(place) / "training", **facts)


def _rebuilt(folder: Path, model: str, version: int, trained: str) -> Source:
    title = f"{model} version {version}"
    try:
        if digest(folder) != trained:
            raise ArtifactError(f"its {MANIFEST} is another than the version's tag says")
        return Source(model, version, trained, load_model(folder))
    except (ArtifactError, OSError) as error:
        raise ArtifactError(
            f"{title} in the registry must hold what was registered, but: {one_line(error).partition('; ')[0]}; start"
            " from another version, or train and export it again"
        ) from None
