"""A registered model as a stage gets it: fetched by a process beside it, checked, rebuilt."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ..config.training import PretrainedWeights
from ..data.storage import MANIFEST, manifest_sha256
from ..errors import ArtifactError, ParamsError, TrackingError, one_line_message
from ..models.serialization import load_model
from ..models.transfer import PretrainedModel
from .subprocesses import subprocess_environment


def load_registered(model_name: str, pretrained: PretrainedWeights | None) -> PretrainedModel | None:
    """Return the version that `start` of model `name` says; None if it says nothing.

    Raises:
        ParamsError: the registry has no such version.
        TrackingError: MLflow is out of reach.
        ArtifactError: what it has is not what was registered.
    """
    if pretrained is None:
        return None
    with TemporaryDirectory() as place:
        command = [sys.executable, "-m", "fivefold.tracking.download", pretrained.model_dump_json(), place]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=subprocess_environment())
        if done.returncode:
            said = done.stderr.strip().rpartition("\n")[2]
            kind = ParamsError if done.returncode == ParamsError.exit_code else TrackingError
            raise kind(f"models.{model_name}.training.pretrained: {said}")
        facts = json.loads((Path(place) / "pulled.json").read_text())
        return _load_downloaded(Path(place) / "training", **facts)


def _load_downloaded(folder: Path, model: str, version: int, training_digest: str) -> PretrainedModel:
    title = f"{model} version {version}"
    try:
        if manifest_sha256(folder) != training_digest:
            raise ArtifactError(f"its {MANIFEST} is another than the version's tag says")
        return PretrainedModel(model, version, training_digest, load_model(folder))
    except (ArtifactError, OSError) as error:
        raise ArtifactError(
            f"{title} in the registry must hold what was registered, but: {one_line_message(error).partition('; ')[0]}; start"
            " from another version, or train and export it again"
        ) from None
