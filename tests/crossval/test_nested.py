"""Nested cross-validation, from the command to its conclusions."""

import json
from pathlib import Path
from statistics import fmean

import pytest

from fivefold.cli import main

from ..tuning.projects import model_block, write_project

LR = {"type": "float", "low": 0.001, "high": 0.1, "log": True}


def test_optimism_of_nested_searches_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = {"folds": 2, "metric": "rmse"}
    search = {"training": {"optimizer": {"lr": LR}}}
    line = model_block("mixes", {"family": "mlp", "hidden": []}, search=search, study=study)
    write_project(tmp_path, {"line": line})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["fivefold", "cv", "line", "--nested", "--trials", "3", "--folds", "2"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert not ended.value.code
    out = capsys.readouterr().out
    tree = json.loads((tmp_path / ".fivefold/cv/line.nested.json").read_text())
    differences = [result["best_trial"]["inner_score"] - result["scores"]["rmse"] for result in tree["results"]]
    assert tree["optimism"]["line"]["mean"] == pytest.approx(-fmean(differences))  # lower errors are better
    inner = fmean(result["best_trial"]["inner_score"] for result in tree["results"])
    assert f"inner score of the search for line: rmse {inner:.4f}; outer test score: " in tree["conclusions"][1]
    assert tree["conclusions"][0].startswith("line, searched within each fold: rmse ")
    assert "of 3 trials (0 pruned or failed)  lr=" in out
    assert all(line in out for line in tree["conclusions"])
    assert "trial 2: complete" in (tmp_path / ".fivefold/cv/line.nested/fits.log").read_text()


def test_fold_without_a_complete_trial_has_no_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    search = {"training": {"optimizer": {"lr": {"type": "float", "low": 1e29, "high": 1e30}}}}
    training = {"optimizer": {"name": "sgd", "lr": 1e30}}
    line = model_block("mixes", {"family": "mlp", "hidden": []}, search=search, study={"folds": 2}, training=training)
    write_project(tmp_path, {"line": line})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["fivefold", "cv", "line", "--nested", "--trials", "2", "--folds", "2"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 1
    captured = capsys.readouterr()
    assert "fold 1/2  no score: none of 2 trials is complete, the last one because of: " in captured.out
    assert "no result for line: 2 of 2 folds have no score" in captured.out
    assert "every fold must end with a score, but 2 of 2 did not" in captured.err
