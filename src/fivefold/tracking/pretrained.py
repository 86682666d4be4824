"""Load a registered model in a stage: download it in a subprocess, verify its digest, rebuild it."""

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
    """Return the registered version that `training.pretrained` of a model selects; None if it selects none.

    Raises:
        ParamsError: The registry has no such version.
        TrackingError: MLflow cannot be reached.
        ArtifactError: The downloaded files differ from those that were registered.
    """
    if pretrained is None:
        return None
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "fivefold.tracking.download", pretrained.model_dump_json(), folder]
        process = subprocess.run(command, capture_output=True, text=True, check=False, env=subprocess_environment())
        if process.returncode:
            message = process.stderr.strip().rpartition("\n")[2]
            error_type = ParamsError if process.returncode == ParamsError.exit_code else TrackingError
            raise error_type(f"models.{model_name}.training.pretrained: {message}")
        info = json.loads((Path(folder) / "download.json").read_text())
        return _load_downloaded(Path(folder) / "training", **info)


def _load_downloaded(folder: Path, model: str, version: int, training_digest: str) -> PretrainedModel:
    try:
        if manifest_sha256(folder) != training_digest:
            raise ArtifactError(f"the digest of {MANIFEST} differs from the version's tag")
        return PretrainedModel(model, version, training_digest, load_model(folder))
    except (ArtifactError, OSError) as error:
        raise ArtifactError(
            f"{model} version {version} must be unchanged since its registration, but:"
            f" {one_line_message(error).partition('; ')[0]}; select another version, or train and export it again"
        ) from None
