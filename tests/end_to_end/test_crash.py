"""What is left when a training is killed, stopped, doubled, or when MLflow is away; with real processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from .project import Project

TRAIN = ("python", "-m", "pipeline.train", "mlp")


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for `condition`; fail if it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.02)


def holder(project: Project) -> int:
    """Return the process that holds the lock of train@mlp, 0 if there is none yet."""
    lock = project.folder / ".fivefold/work/train@mlp/lock"
    return int(lock.read_text() or 0) if lock.exists() else 0


def checkpoint(project: Project) -> Path | None:
    """Return the newest checkpoint of train@mlp."""
    return next((project.folder / ".fivefold/work/train@mlp").glob("*/last.checkpoint"), None)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def endless(project: Project) -> None:
    """Have the training last longer than any test waits."""
    project.change("models.mlp.training.max_epochs", 100_000)


def outputs(project: Project) -> set[str]:
    folder = project.folder / "models/mlp"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_a_killed_training_goes_on_to_the_same_weights_in_the_same_run(small: Project) -> None:
    dvc = small.start("dvc", "repro", "train@mlp")
    until(lambda: checkpoint(small))
    pid = holder(small)
    os.kill(pid, signal.SIGKILL)
    dvc.communicate()
    assert dvc.returncode != 0
    assert not outputs(small)
    until(lambda: small.runs("mlp") and small.runs("mlp")[0].info.status == "KILLED")

    small.run("dvc", "repro", "train@mlp")
    (run,) = small.runs("mlp")
    until(lambda: small.runs("mlp")[0].info.status == "FINISHED")
    resumed = (small.folder / "models/mlp/weights.safetensors").read_bytes()
    history = pd.read_csv(small.folder / "models/mlp/history.csv")
    assert history.epoch.to_list() == list(range(1, 301))
    assert checkpoint(small) is None
    until(lambda: small.runs("mlp")[0].data.tags.get("resumed") == "true")
    steps = [point.step for point in small.mlflow().get_metric_history(run.info.run_id, "val/loss")]
    assert steps == sorted(set(steps))  # an epoch that was trained twice is told once
    assert len(steps) <= 200

    small.run("dvc", "repro", "--force", "--single-item", "train@mlp")  # from the start, without a stop
    assert (small.folder / "models/mlp/weights.safetensors").read_bytes() == resumed
    until(lambda: small.runs("mlp")[0].data.tags["resumed"] == "false")
    assert [again.info.run_id for again in small.runs("mlp")] == [run.info.run_id]


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_training_ends_with_the_shell_s_code_and_leaves_nothing(
    small: Project, signum: signal.Signals, code: int
) -> None:
    endless(small)
    train = small.start(*TRAIN)
    until(lambda: checkpoint(small))
    train.send_signal(signum)
    told, _ = train.communicate(timeout=30)
    assert train.returncode == code, told
    assert "no partial outputs were written" in told
    assert not outputs(small)
    until(lambda: small.runs("mlp")[0].info.status == "KILLED")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread looks once a second, by the same function")
@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])  # DVC runs a stage with the person's shell
def test_a_stage_ends_when_dvc_is_killed(small: Project, shell: str) -> None:
    endless(small)
    dvc = small.start("dvc", "repro", "train@mlp", SHELL=shell)
    until(lambda: checkpoint(small))
    pid = holder(small)
    assert alive(pid)
    dvc.kill()
    until(lambda: not alive(pid), seconds=10)
    dvc.communicate()
    assert not outputs(small)


def test_a_second_training_names_the_first_and_stops(small: Project) -> None:
    endless(small)
    first = small.start(*TRAIN)
    until(lambda: checkpoint(small))
    second = small.run(*TRAIN, ok=False)
    assert second.returncode == 1
    assert f"process {first.pid} is running it" in second.stderr
    assert first.poll() is None
    first.terminate()
    first.communicate()


def test_mlflow_out_of_reach_costs_seconds_and_loses_nothing(small: Project) -> None:
    with socket.socket() as taken:  # an address where nothing answers
        taken.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{taken.getsockname()[1]}"
        started = time.monotonic()
        told = small.run(*TRAIN, MLFLOW_TRACKING_URI=away)
        assert time.monotonic() - started < 60
    assert "run `fivefold sync` to send them" in told.stderr
    assert "model.json" in outputs(small)
    assert not (small.folder / "mlruns/mlflow.db").exists()

    assert "sent run" in small.run("fivefold", "sync").stdout
    (run,) = small.runs("mlp")
    points = small.mlflow().get_metric_history(run.info.run_id, "val/loss")
    history = pd.read_csv(small.folder / "models/mlp/history.csv")
    expected = history[(history.epoch % 2 == 1) | (history.epoch == 300)]  # 300 epochs, at most 200 points
    assert [point.step for point in points] == expected.epoch.to_list()
    assert [point.value for point in points] == pytest.approx(expected["val/loss"].to_list())
    assert run.info.status == "FINISHED"
    assert "sent run" not in small.run("fivefold", "sync").stdout


def test_sync_makes_runs_for_what_dvc_restored_and_a_server_takes_them(small: Project) -> None:
    small.change("models.mlp.training.max_epochs", 3)
    small.run("dvc", "repro")
    (before,) = small.runs("mlp")
    port = free_port()
    server = small.start("fivefold", "ui", "--port", str(port))
    uri = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(port), seconds=120)
        # a store of which nothing is known but what lies on disk
        (small.folder / "mlruns/mlflow.db").rename(small.folder / "mlruns/old.db")
        server.terminate()
        server.communicate()
        server = small.start("fivefold", "ui", "--port", str(port))
        until(lambda: answers(port), seconds=120)
        # evaluate makes the run first: sync tells what train said, and leaves what it said
        small.run("python", "-m", "pipeline.evaluate", "mlp", MLFLOW_TRACKING_URI=uri)
        assert "sent run" in small.run("fivefold", "sync", MLFLOW_TRACKING_URI=uri).stdout
        assert "sent run" not in small.run("fivefold", "sync", MLFLOW_TRACKING_URI=uri).stdout
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name("fivefold")
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id])
        assert run.data.metrics == {k: v for k, v in before.data.metrics.items() if k != "train/seconds"}
        assert run.data.params == before.data.params
        assert run.info.status == "FINISHED"
        assert client.get_model_version_by_alias("fivefold-mlp", "champion").run_id == run.info.run_id
    finally:
        server.terminate()
        server.communicate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_project_of_a_wrong_key_stops_in_one_line_and_keeps_its_outputs(small: Project) -> None:
    before = {path: path.read_bytes() for path in (small.folder / "data").rglob("*") if path.is_file()}
    small.change("models.mlp.training.max_epochs", -1)
    done = small.run("python", "-m", "pipeline.select_features", "mlp", ok=False)
    assert done.returncode == 2
    assert done.stderr == (
        "error: params.yaml: models.mlp.training.max_epochs must be greater than 0, but is -1; change it\n"
    )
    assert {path: path.read_bytes() for path in (small.folder / "data").rglob("*") if path.is_file()} == before


def test_a_stage_that_fails_under_dvc_leaves_what_was_there(small: Project) -> None:
    """DVC removes a stage's outputs before it runs it."""
    small.change("models.mlp.training.max_epochs", 3)
    small.run("dvc", "repro")
    before = everything(small)
    assert {path.parts[0] for path in before} == {"data", "models", "reports"}

    small.change("models.mlp.training.optimizer.lr", 1e30)
    failed = small.run("dvc", "repro", ok=False)
    assert "train/loss must be finite" in failed.stderr
    assert everything(small) == before

    raw = small.folder / "data/raw/breast_cancer.sklearn"
    raw.write_text("nothing\n")
    failed = small.run("dvc", "repro", ok=False)
    assert "must name one of breast_cancer, wine, iris, diabetes, digits, but names 'nothing'" in failed.stderr
    before[raw.relative_to(small.folder)] = raw.read_bytes()
    assert everything(small) == before

    weights = small.folder / "models/mlp/weights.safetensors"
    weights.unlink()  # DVC's cache may be linked to it
    weights.write_bytes(b"altered")
    failed = small.run("dvc", "repro", "--single-item", "evaluate@mlp", ok=False)
    assert "must have the SHA-256" in failed.stderr
    before[weights.relative_to(small.folder)] = b"altered"
    assert everything(small) == before


def everything(project: Project) -> dict[Path, bytes]:
    """Return what lies under data, models and reports."""
    files = (path for folder in ("data", "models", "reports") for path in (project.folder / folder).rglob("*"))
    return {path.relative_to(project.folder): path.read_bytes() for path in files if path.is_file()}


def test_what_dvc_finds_out_too_late_is_told_before_anything_is_removed(small: Project) -> None:
    """Without the stage `check`, DVC would remove the outputs of each, and the folder that a name climbs to."""
    small.change("models.mlp.training.max_epochs", 3)
    small.run("dvc", "repro")
    before = everything(small)
    outside = small.folder.parent / "outside"
    outside.mkdir()
    good = (small.folder / "params.yaml").read_text()
    block = good[good.index("  breast_cancer:") : good.index("models:")]
    for wrong, said in (
        (good.replace("models:", f"  ../../../outside:{block.partition(':')[2]}models:", 1), "must match pattern"),
        (good.replace("family: mlp", "family: nope"), "models.mlp.network.family must be one of 'mlp', 'cnn'"),
        (good.replace("dataset: breast_cancer", "dataset: nope"), "breast_cancer, but is 'nope'"),
        (good.replace("breast_cancer.sklearn", "none.csv"), "'data/raw/none.csv' does not exist"),
    ):
        (small.folder / "params.yaml").write_text(wrong)
        failed = small.run("dvc", "repro", ok=False)
        assert said in failed.stderr, failed.stderr
        assert "failed to reproduce 'check'" in failed.stderr
        assert everything(small) == before
        assert outside.exists()


def test_fivefold_check_says_what_is_in_order(small: Project) -> None:
    assert small.run("fivefold", "check").stdout == "valid: datasets breast_cancer; models mlp; dvc.yaml\n"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("models.mlp.network.family", "nope", "models.mlp.network.family must be one of"),
        ("datasets.breast_cancer.source", "data/raw/none.csv", "'data/raw/none.csv' does not exist"),
        ("datasets", {"../x": {}}, "a name under `datasets` must match pattern"),
        ("training.max_epochs", "many", "training.max_epochs must be a valid integer, but is 'many'"),
    ],
)
def test_what_dvc_words_in_its_own_way_fivefold_check_says_in_one_line(
    small: Project, key: str, value: object, said: str
) -> None:
    small.change(key, value)
    done = small.run("fivefold", "check", ok=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["../x", "nobody", ""])
def test_a_hostile_or_unknown_name_stops_in_one_line(small: Project, name: str) -> None:
    done = small.run("python", "-m", "pipeline.prepare", name, ok=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (small.folder.parent / "x").exists()


def test_terminating_a_stage_before_it_trains_is_quick(small: Project) -> None:
    train = small.start(*TRAIN)
    until(lambda: holder(small) == train.pid)
    train.terminate()
    told, _ = train.communicate(timeout=30)
    assert train.returncode in (143, -signal.SIGTERM), told
    spools = {path.name for path in (small.folder / ".fivefold/spool").glob("*")}
    shipping = ["ps", "axww"]
    until(lambda: not any(f in subprocess.run(shipping, capture_output=True, text=True).stdout for f in spools))
