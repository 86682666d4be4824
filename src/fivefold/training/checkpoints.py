"""Checkpoints in safetensors format, and fingerprints of stages.

A checkpoint is one hashed file, written atomically, and the previous one is retained. Lightning builds and restores the
state; its own file format uses pickle, which can execute code on loading. A fingerprint is one hash of everything that
determines the result of a stage: parameters, inputs and code.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from pytorch_lightning.plugins.io import CheckpointIO
from safetensors.torch import load, save
from torch import Tensor

LATEST_NAME = "last.checkpoint"
PREVIOUS_NAME = "previous.checkpoint"
DIGEST_SIZE = 32
"""Bytes of the SHA-256 digest at the beginning of the file."""
MAX_AGE_SECONDS = 30 * 24 * 3600
"""Age from which the checkpoints of other trainings are removed."""


class SafetensorsCheckpointIO(CheckpointIO):
    """Lightning plugin that writes `last.checkpoint` and retains the one before it as `previous.checkpoint`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write `checkpoint` to `path`; a file that exists there becomes the previous checkpoint."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Tensor] = {}
        tree = _pack(checkpoint, tensors)
        content = save(tensors, metadata={"tree": json.dumps(tree)})
        temporary = target.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            target.replace(target.with_name(PREVIOUS_NAME))
        temporary.replace(target)

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Return the checkpoint that `save_checkpoint` wrote to `path`."""
        content = Path(path).read_bytes()[DIGEST_SIZE:]
        header_size = int.from_bytes(content[:8], "little")  # safetensors: size of the header, header, tensors
        tree = json.loads(json.loads(content[8 : 8 + header_size])["__metadata__"]["tree"])
        checkpoint: dict[str, Any] = _unpack(tree, load(content))
        return checkpoint

    def remove_checkpoint(self, path: Any) -> None:
        """Delete `path`."""
        Path(path).unlink(missing_ok=True)


def find_latest_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint in `folder` whose digest is correct, or None if there is none."""
    candidates = (folder / LATEST_NAME, folder / PREVIOUS_NAME)
    return next((path for path in candidates if path.is_file() and _is_intact(path)), None)


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints in `folder`, and those of other trainings that are older than `MAX_AGE_SECONDS`."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in folder.parent.glob(f"*/{LATEST_NAME}"):
        if time.time() - path.stat().st_mtime > MAX_AGE_SECONDS:
            shutil.rmtree(path.parent, ignore_errors=True)


def _is_intact(path: Path) -> bool:
    data = path.read_bytes()
    return hashlib.sha256(data[DIGEST_SIZE:]).digest() == data[:DIGEST_SIZE]


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return `value` as JSON-compatible values, its tensors moved into `tensors`; dict keys keep their type."""
    match value:
        case Tensor():
            name = str(len(tensors))
            tensors[name] = value.detach().contiguous().clone()
            return {"tensor": name}
        case dict():
            return {"dict": [[_pack(k, tensors), _pack(v, tensors)] for k, v in value.items()]}
        case list():
            return {"list": [_pack(v, tensors) for v in value]}
        case tuple():
            return {"tuple": [_pack(v, tensors) for v in value]}
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise TypeError(f"a checkpoint may contain only tensors and plain values, not {type(value)}: {value!r}")


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    match kind:
        case "tensor":
            return tensors[content]
        case "dict":
            return {_unpack(k, tensors): _unpack(v, tensors) for k, v in content}
        case "list":
            return [_unpack(v, tensors) for v in content]
        case _:
            return tuple(_unpack(v, tensors) for v in content)


PACKAGES = ("fivefold", "pipeline")
"""Packages whose code is part of a fingerprint."""


def compute_fingerprint(stage: str, params: Any, inputs: dict[str, str]) -> str:
    """Return the fingerprint of a stage, 32 hexadecimal digits.

    The code is that of all modules of `PACKAGES` that are loaded: call it after all imports, always at the same place.

    params: the values of params.yaml that the stage uses, as plain values.
    inputs: name -> digest of each folder that the stage reads.
    """
    content = {"stage": stage, "params": params, "inputs": inputs, "code": _module_digests()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _module_digests() -> dict[str, str]:
    # the module of the stage itself is loaded as __main__; its spec has its name
    specs = (getattr(module, "__spec__", None) for module in list(sys.modules.values()))
    files = {spec.name: spec.origin for spec in specs if spec and spec.name.partition(".")[0] in PACKAGES}
    return {name: hashlib.sha256(Path(file).read_bytes()).hexdigest() for name, file in files.items() if file}
