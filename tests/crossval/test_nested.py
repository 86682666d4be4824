"""A search within each fold, from the command to what is known."""

import json
from pathlib import Path
from statistics import fmean

import pytest

from fivefold.cli import main

from ..tuning.projects import model_of, write_project

LR = {"type": "float", "low": 0.001, "high": 0.1, "log": True}


def test_searches_within_folds_say_how_much_too_good_their_scores_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = {"folds": 2, "metric": "rmse"}
    search = {"training": {"optimizer": {"lr": LR}}}
    line = model_of("mixes", {"family": "mlp", "hidden": []}, search=search, study=study)
    write_project(tmp_path, {"line": line})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["fivefold", "cv", "line", "--nested", "--trials", "3", "--folds", "2"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert not ended.value.code
    out = capsys.readouterr().out
    tree = json.loads((tmp_path / ".fivefold/cv/line.nested.json").read_text())
    gains = [result["winner"]["inner"] - result["scores"]["rmse"] for result in tree["results"]]
    assert tree["optimism"]["line"]["mean"] == pytest.approx(-fmean(gains))  # of errors less is better
    promised = fmean(result["winner"]["inner"] for result in tree["results"])
    assert f"searches for line promised rmse {promised:.4f}, and rows held out gave" in tree["known"][1]
    assert tree["known"][0].startswith("line, searched within each fold: rmse ")
    assert "of 3 trials (0 given up)  lr=" in out
    assert all(line in out for line in tree["known"])
    assert "trial 2: complete" in (tmp_path / ".fivefold/cv/line.nested/fits.log").read_text()


def test_where_no_trial_has_a_score_the_fold_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    search = {"training": {"optimizer": {"lr": {"type": "float", "low": 1e29, "high": 1e30}}}}
    training = {"optimizer": {"name": "sgd", "lr": 1e30}}
    line = model_of("mixes", {"family": "mlp", "hidden": []}, search=search, study={"folds": 2}, training=training)
    write_project(tmp_path, {"line": line})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["fivefold", "cv", "line", "--nested", "--trials", "2", "--folds", "2"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert "fold 1/2  no score: no trial of 2 has a score, the last one since " in said.out
    assert "nothing is known of line: 2 of 2 folds have no score" in said.out
    assert "every fold must end with a score, but 2 of 2 did not" in said.err
