"""`fivefold cv`: every family, comparisons of models, worker processes, and errors."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fivefold.cli import main
from fivefold.crossval.statistics import estimate_mean

from ..tuning.projects import FAMILIES, model_block, write_project

LINEAR = {"family": "mlp", "hidden": [], "init": "zeros"}


@pytest.fixture
def cv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs `fivefold cv` in a project and returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["fivefold", "cv", *args])
        with pytest.raises(SystemExit) as ended:
            main.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_evaluated_on_held_out_rows(family: str, cv: Any, tmp_path: Path) -> None:
    write_project(tmp_path, {family: model_block(*FAMILIES[family])})
    code, out, err = cv(family, "--folds", "2", "--json")
    assert code == 0, err
    tree = json.loads(out)
    assert tree == json.loads((tmp_path / f".fivefold/cv/{family}.json").read_text())
    assert [result["error"] for result in tree["results"]] == ["", ""]
    metric = tree["metric"]
    scores = [result["scores"][metric] for result in tree["results"]]
    assert tree["results"][0]["scores"] != tree["results"][1]["scores"]
    assert tree["estimates"][family][metric] == pytest.approx(estimate_mean(scores, tree["test_train_ratio"])._asdict())
    assert tree["test_train_ratio"] == pytest.approx(1, rel=0.1)
    optimistic = any("best epoch on the test rows" in note for note in tree["notes"])
    assert optimistic == (family in ("gan", "cyclegan"))
    assert err.count("\n") == 2  # one line per fold
    assert f"{family}  fold 1/2  {metric} " in err
    assert f"{family}  epoch 2" in (tmp_path / f".fivefold/cv/{family}/fits.log").read_text()
    assert not (tmp_path / f".fivefold/cv/{family}/work").exists()


def test_models_are_compared_on_the_same_folds(cv: Any, tmp_path: Path) -> None:
    untrained = model_block("mixes", LINEAR, training={"optimizer": {"lr": 1e-7}})
    trained = model_block("mixes", LINEAR, training={"max_epochs": 20, "optimizer": {"lr": 0.1}})
    write_project(tmp_path, {"trained": trained, "untrained": untrained, "line": model_block("mixes", LINEAR)})
    code, out, _ = cv("untrained", "trained", "--folds", "3", "--repeats", "2")
    assert code == 0
    tree = json.loads((tmp_path / ".fivefold/cv/untrained+trained.json").read_text())
    assert [result["repeat"] for result in tree["results"] if result["model"] == "trained"] == [1, 1, 1, 2, 2, 2]
    (pair,) = tree["comparisons"]
    assert pair["differences"]["r2"]["p_value"] == pair["differences"]["r2"]["p_adjusted"] < 0.01
    assert pair["differences"]["r2"]["high"] < 0 < pair["differences"]["rmse"]["low"]
    assert tree["conclusions"][-1].startswith("trained is better than untrained by ")
    for text in (
        "untrained - trained (paired folds)",
        "repeat 2/2 fold 3/3  r2 ",
        "t distribution with 5 degrees of freedom",
        tree["conclusions"][-1],
        "all scores: .fivefold/cv/untrained+trained.json",
    ):
        assert text in out
    code, out, _ = cv("untrained", "trained", "line", "--folds", "2", "--json")
    tree = json.loads(out)
    assert len(tree["comparisons"]) == 3
    assert "adjusted for 3 comparisons" in tree["conclusions"][-1]
    assert all(p["differences"]["r2"]["p_adjusted"] >= p["differences"]["r2"]["p_value"] for p in tree["comparisons"])


def test_several_processes_give_the_result_of_one(cv: Any, tmp_path: Path) -> None:
    write_project(tmp_path, {"line": model_block("mixes", LINEAR)})
    one_process, two_processes = (
        json.loads(cv("line", "--folds", "3", "--json", "--workers", workers)[1]) for workers in ("1", "2")
    )
    for tree in (one_process, two_processes):
        for result in tree["results"]:
            del result["seconds"]
    assert one_process == two_processes
    assert sorted(path.name for path in (tmp_path / ".fivefold/cv/line").glob("*.log")) == [
        "worker-0.log",
        "worker-1.log",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
@pytest.mark.parametrize(
    ("killed", "signum", "code", "message"),
    [
        ("worker", signal.SIGKILL, 1, "a worker was killed by signal 9; free memory"),
        ("leader", signal.SIGTERM, 143, "cross-validation interrupted; partial results were discarded"),
    ],
)
def test_no_process_is_left_after_one_is_killed(
    killed: str, signum: int, code: int, message: str, tmp_path: Path
) -> None:
    block = model_block(*FAMILIES["mlp"])
    block["training"] = {**block["training"], "max_epochs": 100_000}
    write_project(tmp_path, {"endless": block})
    command = [sys.executable, "-c", "from fivefold.cli.main import main; main()", "cv", "endless", "--folds", "2"]
    leader = subprocess.Popen(
        [*command, "--workers", "2"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    children = Path(f"/proc/{leader.pid}/task/{leader.pid}/children")
    deadline = time.monotonic() + 60
    while len(workers := children.read_text().split()) < 2:
        assert leader.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (
        (Path("/proc") / workers[0] / "cmdline").read_text().endswith("\0cv\0endless\0--folds\0002\0--workers\0002\0")
    )
    os.kill(int(workers[0]) if killed == "worker" else leader.pid, signum)
    _, err = leader.communicate(timeout=60)
    assert (leader.returncode, message in err) == (code, True), err
    assert not any((Path("/proc") / worker).exists() for worker in workers)


def test_seed_determines_the_folds(cv: Any, tmp_path: Path) -> None:
    write_project(tmp_path, {"line": model_block("mixes", LINEAR)})
    trees = [
        json.loads(cv("line", "--folds", "2", "--json", *args)[1]) for args in ([], ["--seed", "1"], ["--seed", "0"])
    ]
    scores = [[result["scores"]["r2"] for result in tree["results"]] for tree in trees]
    assert scores[0] == scores[1] != scores[2]
    assert [tree["seed"] for tree in trees] == [1, 1, 0]


def test_model_with_a_diverged_fold_has_no_estimate(cv: Any, tmp_path: Path) -> None:
    diverging = model_block("mixes", LINEAR, training={"optimizer": {"name": "sgd", "lr": 1e30}})
    write_project(tmp_path, {"line": model_block("mixes", LINEAR), "diverging": diverging})
    code, out, err = cv("line", "diverging", "--folds", "2")
    assert code == 1
    assert "diverging  fold 1/2  no score: " in out
    assert "no result for diverging: 2 of 2 folds have no score (fold 1, fold 2)" in out
    assert "line - diverging" not in out
    assert err.startswith(
        "error: every fold must end with a score, but 2 of 4 did not, the first one, fold 1 of diverging,"
    )
    assert err.endswith("; lower training.optimizer.lr (now 1e+30) or set training.gradient_clip_norm\n")
    tree = json.loads((tmp_path / ".fivefold/cv/line+diverging.json").read_text())
    assert list(tree["estimates"]) == ["line"]
    assert tree["comparisons"] == []


def test_source_that_the_pipeline_refuses_is_refused(cv: Any, tmp_path: Path) -> None:
    write_project(tmp_path, {"line": model_block("mixes", LINEAR)})
    lines = (tmp_path / "mixes.csv").read_text().splitlines()
    (tmp_path / "mixes.csv").write_text("\n".join([*lines[:5], "0.1,abc,0.2,0.3", *lines[6:], ""]))
    code, _, err = cv("line")
    assert code == 2
    assert "mixed_types: column 'b' must contain finite numbers" in err
    assert "(mixes.csv)" in err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["line", "mlp"], "must have the same dataset, but line has mixes and mlp bars; compare models of one dataset"),
        (["mlp", "coder"], "must have the same metrics, but mlp has accuracy, balanced_accuracy"),
        (["line", "line"], "models to compare must differ, but 'line' is given twice; name it once"),
        (
            ["dependent"],
            "models.dependent.depends_on: mlp must be trained before, but models/mlp holds no model; run `dvc repro"
            " train@mlp`",
        ),
        (["codes"], "models.codes.select: the autoencoder 'coder' was trained on rows that the folds hold out"),
        (
            ["late", "--repeats", "3"],
            "--repeats must be 1 for years, whose folds follow time and are always the same, but is 3; raise --folds",
        ),
        (["line", "--trials", "4"], "--trials requires --nested, but 4 trials are given without it; add --nested"),
        (
            ["line", "--nested"],
            "models.line.search must contain the ranges of a nested search, but is missing; write a range",
        ),
        (["two", "--nested"], "models.two.study.objectives must be [score] for a nested search"),
        (
            ["pretrained", "--nested"],
            "models.pretrained.search.training.pretrained: every combination of range bounds must be a valid model",
        ),
        (["nobody"], "model 'nobody' is not in params.yaml"),
        (["line", "--folds", "80"], "each of 80 folds needs rows, but 72 rows are not enough; use fewer"),
    ],
)
def test_error_is_one_line(args: list[str], message: str, cv: Any, tmp_path: Path) -> None:
    search = {"training": {"optimizer": {"lr": {"type": "float", "low": 0.1, "high": 0.2}}}}
    pretrained = {"type": "categorical", "choices": [None, {"model": "fivefold-line", "version": 1}]}
    models = {name: model_block(*FAMILIES[name]) for name in ("mlp",)} | {
        "line": model_block("mixes", LINEAR),
        "late": model_block("years", LINEAR),
        "coder": model_block(*FAMILIES["autoencoder"]),
        "dependent": model_block(*FAMILIES["gan"], depends_on="mlp"),
        "codes": model_block("bars", LINEAR, depends_on="coder", select={"method": "autoencoder"}),
        "pretrained": model_block("mixes", LINEAR, search={"training": {"pretrained": pretrained}}),
        "two": model_block("mixes", LINEAR, search=search, study={"objectives": ["score", "parameters"]}),
    }
    write_project(tmp_path, models)
    params = tmp_path / "params.yaml"
    years = (
        "  years: {kind: table, source: mixes.csv, task: regression, target: y, normalize: standard,"
        " split: {validation: 0.2, test: 0.2, by: time, column: a}}\n"
    )
    params.write_text(params.read_text().replace("models:\n", f"{years}models:\n", 1))
    code, out, err = cv(*args)
    assert message in err
    assert (code, out, err.count("\n")) == ((1 if args == ["dependent"] else 2), "", 1)
