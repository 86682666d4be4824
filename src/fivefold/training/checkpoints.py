"""Checkpoints without pickle: one safetensors file, hashed, written whole, the previous one kept.

Lightning builds and restores the state; this decides how it lies on disk. Lightning's own format runs code on loading.

One hash for all that decides what a stage computes: its parameters, its inputs, its code.
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
"""Bytes of SHA-256 in front of the file's content."""
MAX_AGE_SECONDS = 30 * 24 * 3600
"""Seconds."""


class SafetensorsCheckpointIO(CheckpointIO):
    """Lightning's checkpoint plugin: `folder/last.checkpoint`, and the one before it."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write `checkpoint` to `path`; what was there stays as the previous one."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Tensor] = {}
        tree = _pack(checkpoint, tensors)
        content = save(tensors, metadata={"tree": json.dumps(tree)})
        fresh = target.with_suffix(".fresh")
        with fresh.open("wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            target.replace(target.with_name(PREVIOUS_NAME))
        fresh.replace(target)

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Return what `save_checkpoint` wrote at `path`."""
        content = Path(path).read_bytes()[DIGEST_SIZE:]
        length = int.from_bytes(content[:8], "little")  # safetensors: size of the header, header, tensors
        tree = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["tree"])
        checkpoint: dict[str, Any] = _unpack(tree, load(content))
        return checkpoint

    def remove_checkpoint(self, path: Any) -> None:
        """Delete `path`."""
        Path(path).unlink(missing_ok=True)


def find_latest_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint in `folder` that is whole, or None; a torn or altered one is passed over."""
    candidates = (folder / LATEST_NAME, folder / PREVIOUS_NAME)
    return next((path for path in candidates if path.is_file() and _is_intact(path)), None)


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of `folder`, its training being done, and those of others that lie since a month."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in folder.parent.glob(f"*/{LATEST_NAME}"):
        if time.time() - path.stat().st_mtime > MAX_AGE_SECONDS:
            shutil.rmtree(path.parent, ignore_errors=True)


def _is_intact(path: Path) -> bool:
    data = path.read_bytes()
    return hashlib.sha256(data[DIGEST_SIZE:]).digest() == data[:DIGEST_SIZE]


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return `value` as JSON, its tensors moved into `tensors`; keys of a dict keep their type."""
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
            raise TypeError(f"a checkpoint may hold tensors and plain values, not {type(value)}: {value!r}")


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


def compute_fingerprint(stage: str, params: Any, inputs: dict[str, str]) -> str:
    """Return a hash of 32 hexadecimal digits.

    params: what of params.yaml the stage uses, as plain values.
    inputs: name -> digest of each folder it reads.
    The code is every module of ours that is loaded now: call it where all imports are done, always at the same place.
    """
    facts = {"stage": stage, "params": params, "inputs": inputs, "code": _module_digests()}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _module_digests() -> dict[str, str]:
    # a stage's own module is loaded as __main__: its spec knows its name
    specs = (getattr(module, "__spec__", None) for module in list(sys.modules.values()))
    ours = {spec.name: spec.origin for spec in specs if spec and spec.name.partition(".")[0] in PACKAGES}
    return {name: hashlib.sha256(Path(file).read_bytes()).hexdigest() for name, file in ours.items() if file}
