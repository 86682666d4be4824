"""A training whose batches two processes share, through the stage, with real processes."""

import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from .project import Project
from .test_crash import TRAIN, alive, checkpoint, endless, holder, outputs, until

TRAINING = {
    "max_epochs": 100,
    "batch_size": 30,
    "accelerator": "cpu",
    "accumulate_grad_batches": 2,
    "class_balance": "weighted_loss",
    "gradient_clip_norm": 0.5,
    "ema_decay": 0.9,
    "optimizer": {"name": "sgd", "lr": 0.1},
    "devices": 2,
}


@pytest.fixture
def shared(small: Project) -> Project:
    """A project whose training draws nothing but the order of rows, and makes no small difference large."""
    for key, value in TRAINING.items():
        small.change(f"models.mlp.training.{key}", value)
    small.change("models.mlp.network.dropout", 0.0)
    small.change("models.mlp.network.activation", "tanh")
    return small


def follower(lead: int) -> int:
    """Return the process that follows `lead`: of its children the one that runs the same stage; 0 if there is none."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            same = parent == lead and "pipeline.train" in (path.parent / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if same:
            return int(path.parent.name)
    return 0


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found under /proc")
def test_two_devices_train_what_one_trains_also_when_one_was_killed(shared: Project, tmp_path: Path) -> None:
    train = shared.start("dvc", "repro", "train@mlp")
    until(lambda: checkpoint(shared))
    os.kill(follower(holder(shared)), signal.SIGKILL)
    told, _ = train.communicate(timeout=30)
    assert "that of device 1 ended by SIGKILL (without output); run `dvc repro` again" in told
    assert train.returncode != 0
    assert not outputs(shared)

    told = shared.run("dvc", "repro", "train@mlp").stdout
    assert told.count("epoch 100/100") == 1
    folder = shared.folder / "models/mlp"
    of_two, weights = pd.read_csv(folder / "history.csv"), load_file(folder / "weights.safetensors")
    assert outputs(shared) == {
        "diagnostics.json",
        "history.csv",
        "manifest.json",
        "model.json",
        "sample_grids.zip",
        "weights.safetensors",
    }
    until(lambda: shared.runs("mlp")[0].data.tags.get("resumed") == "true")
    assert len(shared.runs("mlp")) == 1
    shutil.rmtree(shared.folder / ".fivefold/work")

    shared.change("models.mlp.training.devices", 1)
    shared.run(*TRAIN)
    pd.testing.assert_frame_equal(of_two, pd.read_csv(folder / "history.csv"), rtol=1e-5)
    for name, value in load_file(folder / "weights.safetensors").items():
        np.testing.assert_allclose(weights[name], value, atol=1e-4, err_msg=name)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found under /proc")
def test_no_process_of_a_training_outlives_dvc(shared: Project) -> None:
    endless(shared)
    dvc = shared.start("dvc", "repro", "train@mlp")
    until(lambda: checkpoint(shared))
    pids = [holder(shared), follower(holder(shared))]
    assert all(pids)
    assert all(alive(pid) for pid in pids)
    dvc.kill()
    until(lambda: not any(alive(pid) for pid in pids), seconds=20)
    dvc.communicate()
    assert not outputs(shared)
