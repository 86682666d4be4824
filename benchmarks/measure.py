"""Shared by benchmarks: the environment, results with their limits, tables and result files."""

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
DEFAULT = "default"
"""Name of the project's own params.yaml, among those of the examples."""
PACKAGES = ("dvc", "mlflow", "numpy", "onnx", "onnxruntime", "optuna", "pytorch-lightning", "scikit-learn", "torch")


@dataclass(frozen=True)
class Result:
    """A value and its limit: an upper one, or a lower one if higher is better."""

    name: str
    value: float
    hold: float
    better: Literal["lower", "higher"] = "lower"

    @property
    def held(self) -> bool:
        return self.value <= self.hold if self.better == "lower" else self.value >= self.hold

    def __str__(self) -> str:
        return f"RESULT {self.name} {self.value:.4g} hold {self.hold:g} {'PASS' if self.held else 'FAIL'}"


def seconds(work: Callable[[], object]) -> float:
    """Return the duration of a call in seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def environment() -> dict[str, Any]:
    """Return the environment of a benchmark: date, device, versions, commit."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": _processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": _output_of("nvidia-smi", "--query-gpu=name", "--format=csv,noheader"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
        "commit": _output_of("git", "describe", "--always", "--dirty", "--abbrev=12"),
    }


def finish(name: str, measured: dict[str, Any], results: Iterable[Result]) -> int:
    """Write measurements and results to results/<name>.json, print the results, and return the exit code."""
    results = list(results)
    rows = [{**asdict(result), "held": result.held} for result in results]
    RESULTS.mkdir(exist_ok=True)
    tree = {"environment": environment(), "measured": measured, "results": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(tree, indent=2) + "\n")
    for result in results:
        print(result, flush=True)
    return 0 if all(result.held for result in results) else 1


def table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """Return a text table; the first column is left-aligned, the others are right-aligned numbers."""
    cells = [head, *((str(row[0]), *(_number(value) for value in row[1:])) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in cells
    )
    return "\n".join(lines)


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _output_of(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
