"""Logs of stages: they agree with the outputs of the stages and count epochs from 1, as the console does."""

import json
from pathlib import Path

import numpy as np
import pytest

from fivefold import paths
from fivefold.config.datasets import ColumnOptions
from fivefold.data.storage import save_dataset, write_manifest
from fivefold.tracking import events, stage_logs
from fivefold.tracking.reporter import RunLogger
from fivefold.training import image_grid

from ..conftest import dataset_of, schema_of, table_block


@pytest.fixture
def run_logger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunLogger:
    """Return the logger of model `m`, trained on dataset `d` for three epochs, of which the second is the best."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    prepared, model = paths.prepared_dir("d"), paths.model_dir("m")
    for folder in (prepared, model):
        folder.mkdir(parents=True)
    save_dataset(dataset_of(schema_of((2,), 2), *[(np.zeros((3, 2)), np.arange(3) % 2)] * 3), prepared)
    block = table_block(columns={"a": ColumnOptions(min=0)}, drop=("b",))
    (prepared / "dataset.json").write_text(block.model_dump_json())
    (prepared / "checks.json").write_text("[]")
    write_manifest(prepared)
    metadata = {"fingerprint": "f", "n_parameters": 9, "epochs": 3, "best_epoch": 2, "device": "cpu"}
    metadata["params"] = {"dataset": "d", "network": {"family": "mlp"}}
    (model / "model.json").write_text(json.dumps(metadata))
    (model / "diagnostics.json").write_text(
        json.dumps({"findings": [], "measurements": {"gradient_norm": {"g": [1, 2, 3]}, "dead": {}}})
    )
    image_grid.write_grids({0: b"first", 3: b"last"}, model / image_grid.ARCHIVE_NAME)
    (model / "history.csv").write_text("epoch,val/loss\n1,0.5\n2,0.25\n3,0.75\n")
    return RunLogger("train", "m", "f")


def logged_metric(run_logger: RunLogger, name: str) -> list[tuple[int, float]]:
    """Return step and value of each logged value of a metric."""
    metrics = (event for event in run_logger.spool.read_events() if isinstance(event, events.Metrics))
    return [(event.step, event.values[name]) for event in metrics if name in event.values]


def logged_tags(run_logger: RunLogger) -> dict[str, str]:
    tags: dict[str, str] = {}
    for event in run_logger.spool.read_events():
        if isinstance(event, events.Tags):
            tags |= event.tags
    return tags


def write_report(scores: dict[str, float]) -> None:
    """Write the outputs of evaluate."""
    (paths.report_dir("m") / "plots").mkdir(parents=True)
    (paths.report_dir("m") / "metrics.json").write_text(json.dumps({"test": scores}))
    (paths.report_dir("m") / "predictions.parquet").write_text("")


def test_epochs_are_counted_from_one(run_logger: RunLogger) -> None:
    stage_logs.log_history(run_logger, "m")
    stage_logs.log_training(run_logger, "m")
    assert logged_metric(run_logger, "val/loss") == [(1, 0.5), (2, 0.25), (3, 0.75)]
    assert logged_metric(run_logger, "diagnostics/gradient_norm/g") == [(1, 1), (2, 2), (3, 3)]
    tags = logged_tags(run_logger)
    assert (tags["best_epoch"], tags["n_parameters"], tags["diagnostics"]) == ("2", "9", "no problems found")


def test_training_and_history_log_the_same_steps_once(run_logger: RunLogger) -> None:
    log_epoch = run_logger.epoch_logger(3)
    for epoch, loss in enumerate((0.5, 0.25, 0.75)):
        log_epoch(epoch, {"val/loss": loss}, epoch == 2)
    stage_logs.log_history(run_logger, "m")
    assert logged_metric(run_logger, "val/loss") == [(1, 0.5), (2, 0.25), (3, 0.75)]


def test_scores_have_the_step_after_the_last_epoch(run_logger: RunLogger) -> None:
    write_report({"accuracy": 1.0})
    stage_logs.log_evaluation(run_logger, "m")
    assert logged_metric(run_logger, "test/accuracy") == [(4, 1.0)]


def test_settings_of_the_dataset_are_logged_by_dotted_key(run_logger: RunLogger) -> None:
    stage_logs.log_inputs(run_logger, {"seed": 1, "dataset": "d"})
    (params,) = (event.params for event in run_logger.spool.read_events() if isinstance(event, events.Params))
    assert params["dataset"] == "d"
    assert (
        params.items()
        >= {
            "data.kind": "table",
            "data.normalize": "standard",
            "data.split.by": "random",
            "data.split.test": "0.2",
            "data.missing.numeric": "median",
            "data.drop": '["b"]',
        }.items()
    )
    assert json.loads(params["data.columns"])["a"]["min"] == 0  # a single value for all columns
    assert "data.extra_targets" not in params  # empty settings are omitted


def test_sample_grids_are_logged_once(run_logger: RunLogger) -> None:
    run_logger.sample_logger()(0, b"first")
    stage_logs.log_samples(run_logger, "m")
    images = [event for event in run_logger.spool.read_events() if isinstance(event, events.Image)]
    assert [(event.step, run_logger.spool.file_path(event.spool_path).read_bytes()) for event in images] == [
        (0, b"first"),
        (3, b"last"),
    ]


def test_findings_of_the_diagnostics_are_tags_and_in_the_description(run_logger: RunLogger) -> None:
    finding = {"rule": "mode_collapse", "level": "problem", "message": "samples differ by 3% of what real rows do"}
    (paths.model_dir("m") / "diagnostics.json").write_text(json.dumps({"findings": [finding], "measurements": {}}))
    write_report({"energy_distance": 0.5})
    stage_logs.log_training(run_logger, "m")
    stage_logs.log_evaluation(run_logger, "m")
    tags = logged_tags(run_logger)
    assert tags["diagnostics"] == "mode_collapse"
    assert tags["diagnostics.mode_collapse"] == finding["message"]
    assert f"**diagnostics, problem**: {finding['message']}" in tags["mlflow.note.content"].splitlines()


def test_the_reference_classifier_is_a_tag_and_in_the_description(run_logger: RunLogger) -> None:
    path = paths.model_dir("m") / "model.json"
    metadata = json.loads(path.read_text()) | {"reference": {"model": "net", "digest": "0" * 64}}
    path.write_text(json.dumps(metadata))
    write_report({"kid": 0.5})
    stage_logs.log_evaluation(run_logger, "m")
    tags = logged_tags(run_logger)
    assert tags["reference"] == "net (weights 000000000000)"
    assert tags["mlflow.note.content"].startswith(
        "`mlp` with 9 parameters on `d`, reference classifier `net` (weights 000000000000)\n"
    )
