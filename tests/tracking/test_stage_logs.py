"""What is told of a training is what its stages wrote: counted as the screen counts, with how data were prepared."""

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
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunLogger:
    """Of model `m`, trained for three epochs on dataset `d`, of which the second is kept."""
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
    facts = {"fingerprint": "f", "n_parameters": 9, "epochs": 3, "best_epoch": 2, "device": "cpu"}
    facts["params"] = {"dataset": "d", "network": {"family": "mlp"}}
    (model / "model.json").write_text(json.dumps(facts))
    (model / "diagnostics.json").write_text(
        json.dumps({"findings": [], "measurements": {"gradient_norm": {"g": [1, 2, 3]}, "dead_fraction": {}}})
    )
    image_grid.write_grids({0: b"first", 3: b"last"}, model / image_grid.ARCHIVE_NAME)
    (model / "history.csv").write_text("epoch,val/loss\n1,0.5\n2,0.25\n3,0.75\n")
    return RunLogger("train", "m", "f")


def measured(report: RunLogger, name: str) -> list[tuple[int, float]]:
    said = (event for event in report.spool.read_events() if isinstance(event, events.Metrics))
    return [(event.step, event.values[name]) for event in said if name in event.values]


def test_epochs_are_counted_from_one_wherever_they_are_told(report: RunLogger) -> None:
    stage_logs.log_history(report, "m")
    stage_logs.log_training(report, "m")
    assert measured(report, "val/loss") == [(1, 0.5), (2, 0.25), (3, 0.75)]
    assert measured(report, "diagnostics/gradient_norm/g") == [(1, 1), (2, 2), (3, 3)]
    tags = [event.tags for event in report.spool.read_events() if isinstance(event, events.Tags)]
    assert tags[0]["best_epoch"] == "2"


def test_a_training_tells_the_same_steps_as_its_history_does(report: RunLogger) -> None:
    tell = report.epoch_logger(3)
    for epoch, loss in enumerate((0.5, 0.25, 0.75)):
        tell(epoch, {"val/loss": loss}, epoch == 2)
    stage_logs.log_history(report, "m")  # a step that was said is not said again
    assert measured(report, "val/loss") == [(1, 0.5), (2, 0.25), (3, 0.75)]


def test_scores_stand_behind_the_last_epoch(report: RunLogger) -> None:
    (paths.report_dir("m") / "plots").mkdir(parents=True)
    (paths.report_dir("m") / "metrics.json").write_text(json.dumps({"test": {"accuracy": 1.0}}))
    (paths.report_dir("m") / "predictions.parquet").write_text("")
    stage_logs.log_evaluation(report, "m")
    assert measured(report, "test/accuracy") == [(4, 1.0)]


def test_how_data_were_prepared_is_told_by_dotted_key(report: RunLogger) -> None:
    stage_logs.log_inputs(report, {"seed": 1, "dataset": "d"})
    (values,) = (event.params for event in report.spool.read_events() if isinstance(event, events.Params))
    assert values["dataset"] == "d"
    assert (
        values.items()
        >= {
            "data.kind": "table",
            "data.normalize": "standard",
            "data.split.by": "random",
            "data.split.test": "0.2",
            "data.missing.numeric": "median",
            "data.drop": '["b"]',
        }.items()
    )
    assert json.loads(values["data.columns"])["a"]["min"] == 0  # one value, however many columns are named
    assert "data.also" not in values  # is empty


def test_pictures_of_samples_are_told_again_but_those_that_were_said(report: RunLogger) -> None:
    report.sample_logger()(0, b"first")
    stage_logs.log_samples(report, "m")
    said = [event for event in report.spool.read_events() if isinstance(event, events.Image)]
    assert [(event.step, report.spool.file_path(event.spool_path).read_bytes()) for event in said] == [
        (0, b"first"),
        (3, b"last"),
    ]


def test_what_the_doctor_finds_stands_in_plain_words_among_tags_and_in_the_description(report: RunLogger) -> None:
    finding = {"rule": "mode_collapse", "level": "problem", "message": "samples differ by 3% of what real rows do"}
    (paths.model_dir("m") / "diagnostics.json").write_text(json.dumps({"findings": [finding], "measurements": {}}))
    (paths.report_dir("m") / "plots").mkdir(parents=True)
    (paths.report_dir("m") / "metrics.json").write_text(json.dumps({"test": {"energy_distance": 0.5}}))
    (paths.report_dir("m") / "predictions.parquet").write_text("")
    stage_logs.log_training(report, "m")
    stage_logs.log_evaluation(report, "m")
    tags = {
        k: v for event in report.spool.read_events() if isinstance(event, events.Tags) for k, v in event.tags.items()
    }
    assert tags["diagnostics"] == "mode_collapse"
    assert tags["diagnostics.mode_collapse"] == finding["message"]
    assert f"**problem**: {finding['message']}" in tags["mlflow.note.content"].splitlines()


def test_the_judge_of_what_a_model_makes_is_a_tag(report: RunLogger) -> None:
    facts = json.loads((paths.model_dir("m") / "model.json").read_text())
    (paths.model_dir("m") / "model.json").write_text(
        json.dumps(facts | {"judge": {"model": "net", "digest": "0" * 64}})
    )
    (paths.report_dir("m") / "plots").mkdir(parents=True)
    (paths.report_dir("m") / "metrics.json").write_text(json.dumps({"test": {"kid": 0.5}}))
    (paths.report_dir("m") / "predictions.parquet").write_text("")
    stage_logs.log_evaluation(report, "m")
    tags = {
        k: v for event in report.spool.read_events() if isinstance(event, events.Tags) for k, v in event.tags.items()
    }
    assert tags["judge"] == "net (weights 000000000000)"
