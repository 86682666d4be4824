"""One hash for all that decides what a stage computes: its parameters, its inputs, its code."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

PACKAGES = ("fivefold", "pipeline")


def fingerprint(stage: str, params: Any, inputs: dict[str, str]) -> str:
    """Return a hash of 32 hexadecimal digits.

    params: what of params.yaml the stage uses, as plain values.
    inputs: name -> digest of each folder it reads.
    The code is every module of ours that is loaded now: call it where all imports are done, always at the same place.
    """
    facts = {"stage": stage, "params": params, "inputs": inputs, "code": _code()}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _code() -> dict[str, str]:
    # a stage's own module is loaded as __main__: its spec knows its name
    specs = (getattr(module, "__spec__", None) for module in list(sys.modules.values()))
    ours = {spec.name: spec.origin for spec in specs if spec and spec.name.partition(".")[0] in PACKAGES}
    return {name: hashlib.sha256(Path(file).read_bytes()).hexdigest() for name, file in ours.items() if file}
