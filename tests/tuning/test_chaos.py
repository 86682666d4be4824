"""Processes are killed at random: the total is exact, no point is repeated, no fold is lost, no process remains."""

import random
import sys
from pathlib import Path

import pytest

from benchmarks import bench_chaos
from fivefold.tuning.execution.storage import STORAGE_VARIABLE

SECONDS = 5


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_study_with_killed_processes_reaches_its_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m benchmarks.bench_chaos` does the same for two minutes, with PostgreSQL too."""
    monkeypatch.delenv(STORAGE_VARIABLE, raising=False)
    monkeypatch.setattr(bench_chaos, "ROUND", 2)
    random.seed(1)
    bench_chaos.project(tmp_path / "project", epochs=5)
    chaos = bench_chaos.Chaos(tmp_path / "project", total=2)
    monkeypatch.chdir(chaos.folder)
    chaos.run(SECONDS)
    assert chaos.faults == []
    assert sum(chaos.blows.values()) > 0
