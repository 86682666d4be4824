"""`fivefold cv`: every family is cross-validated, what cannot be is refused, and no number is passed off as another."""

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

from ..tuning.projects import FAMILIES, model_of, write_project

LINE = {"family": "mlp", "hidden": [], "init": "zero"}


@pytest.fixture
def cv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `fivefold cv` in a project; returns exit code, what stood on stdout and on stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["fivefold", "cv", *words])
        with pytest.raises(SystemExit) as ended:
            main.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_scored_on_rows_held_out(family: str, cv: Any, tmp_path: Path) -> None:
    write_project(tmp_path, {family: model_of(*FAMILIES[family])})
    code, out, err = cv(family, "--folds", "2", "--json")
    assert code == 0, err
    tree = json.loads(out)
    assert tree == json.loads((tmp_path / f".fivefold/cv/{family}.json").read_text())
    assert [result["error"] for result in tree["results"]] == ["", ""]
    metric = tree["metric"]
    scores = [result["scores"][metric] for result in tree["results"]]
    assert tree["results"][0]["scores"] != tree["results"][1]["scores"]
    assert tree["estimates"][family][metric] == pytest.approx(estimate_mean(scores, tree["ratio"])._asdict())
    assert tree["ratio"] == pytest.approx(1, rel=0.1)
    seen = any("chosen by the rows held out" in note for note in tree["notes"])
    assert seen == (family in ("gan", "cyclegan"))
    assert err.count("\n") == 2  # a line a fold
    assert f"{family}  fold 1/2  {metric} " in err
    assert f"{family}  epoch 2" in (tmp_path / f".fivefold/cv/{family}/fits.log").read_text()
    assert not (tmp_path / f".fivefold/cv/{family}/work").exists()


def test_two_models_are_compared_on_the_same_folds(cv: Any, tmp_path: Path) -> None:
    untaught = model_of("mixes", LINE, training={"optimizer": {"lr": 1e-7}})
    taught = model_of("mixes", LINE, training={"max_epochs": 20, "optimizer": {"lr": 0.1}})
    write_project(tmp_path, {"taught": taught, "untaught": untaught, "line": model_of("mixes", LINE)})
    code, out, _ = cv("untaught", "taught", "--folds", "3", "--repeats", "2")
    assert code == 0
    tree = json.loads((tmp_path / ".fivefold/cv/untaught+taught.json").read_text())
    assert [result["repeat"] for result in tree["results"] if result["model"] == "taught"] == [1, 1, 1, 2, 2, 2]
    (pair,) = tree["comparisons"]
    assert pair["differences"]["r2"]["p"] == pair["differences"]["r2"]["p_of_all"] < 0.01
    assert pair["differences"]["r2"]["high"] < 0 < pair["differences"]["rmse"]["low"]
    assert tree["known"][-1].startswith("taught is better than untaught by ")
    for said in ("untaught less taught, on the same folds", "repeat 2/2 fold 3/3  r2 ", "t with 5 degrees of freedom",
                 tree["known"][-1], "all scores: .fivefold/cv/untaught+taught.json"):  # fmt: skip
        assert said in out
    code, out, _ = cv("untaught", "taught", "line", "--folds", "2", "--json")
    tree = json.loads(out)
    assert len(tree["comparisons"]) == 3
    assert "of all 3 comparisons" in tree["known"][-1]
    assert all(p["differences"]["r2"]["p_of_all"] >= p["differences"]["r2"]["p"] for p in tree["comparisons"])


def test_processes_give_what_one_gives(cv: Any, tmp_path: Path) -> None:
    write_project(tmp_path, {"line": model_of("mixes", LINE)})
    alone, shared = (
        json.loads(cv("line", "--folds", "3", "--json", "--workers", workers)[1]) for workers in ("1", "2")
    )
    for tree in (alone, shared):
        for result in tree["results"]:
            del result["seconds"]
    assert alone == shared
    assert sorted(path.name for path in (tmp_path / ".fivefold/cv/line").glob("*.log")) == [
        "worker-0.log",
        "worker-1.log",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
@pytest.mark.parametrize(
    ("killed", "signum", "code", "said"),
    [
        ("worker", signal.SIGKILL, 1, "a worker was killed by signal 9; free memory"),
        ("leader", signal.SIGTERM, 143, "cv stopped: nothing is kept of its folds"),
    ],
)
def test_when_one_process_is_killed_none_is_left(
    killed: str, signum: int, code: int, said: str, tmp_path: Path
) -> None:
    block = model_of(*FAMILIES["mlp"])
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
    assert (leader.returncode, said in err) == (code, True), err
    assert not any((Path("/proc") / worker).exists() for worker in workers)


def test_the_seed_draws_other_folds(cv: Any, tmp_path: Path) -> None:
    write_project(tmp_path, {"line": model_of("mixes", LINE)})
    trees = [
        json.loads(cv("line", "--folds", "2", "--json", *words)[1]) for words in ([], ["--seed", "1"], ["--seed", "0"])
    ]
    scores = [[result["scores"]["r2"] for result in tree["results"]] for tree in trees]
    assert scores[0] == scores[1] != scores[2]
    assert [tree["seed"] for tree in trees] == [1, 1, 0]


def test_no_mean_hides_a_fold_that_diverged(cv: Any, tmp_path: Path) -> None:
    wild = model_of("mixes", LINE, training={"optimizer": {"name": "sgd", "lr": 1e30}})
    write_project(tmp_path, {"line": model_of("mixes", LINE), "wild": wild})
    code, out, err = cv("line", "wild", "--folds", "2")
    assert code == 1
    assert "wild  fold 1/2  no score: " in out
    assert "nothing is known of wild: 2 of 2 folds have no score (fold 1, fold 2)" in out
    assert "line less wild" not in out
    assert err.startswith("error: every fold must end with a score, but 2 of 4 did not, the first one, fold 1 of wild,")
    assert err.endswith("; lower training.optimizer.lr (now 1e+30) or set training.gradient_clip_norm\n")
    tree = json.loads((tmp_path / ".fivefold/cv/line+wild.json").read_text())
    assert list(tree["estimates"]) == ["line"]
    assert tree["comparisons"] == []


def test_a_source_that_the_pipeline_would_stop_at_stops_here(cv: Any, tmp_path: Path) -> None:
    write_project(tmp_path, {"line": model_of("mixes", LINE)})
    lines = (tmp_path / "mixes.csv").read_text().splitlines()
    (tmp_path / "mixes.csv").write_text("\n".join([*lines[:5], "0.1,abc,0.2,0.3", *lines[6:], ""]))
    code, _, err = cv("line")
    assert code == 2
    assert "mixed_types: column 'b' must hold finite numbers" in err
    assert "(mixes.csv)" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["line", "mlp"], "must have the same dataset, but line has mixes and mlp bars; compare models of one dataset"),
        (["mlp", "coder"], "must have the same metrics, but mlp has accuracy, auc"),
        (["line", "line"], "models to compare must differ, but 'line' stands there twice; name it once"),
        (
            ["judged"],
            "models.judged.depends_on: mlp must be trained before, but models/mlp holds no model; run `dvc repro train@mlp`",
        ),
        (["codes"], "models.codes.select: the autoencoder 'coder' has learnt rows that folds hold out"),
        (
            ["late", "--repeats", "3"],
            "folds of years follow time, so each repeat would have the same ones, but --repeats is 3",
        ),
        (["line", "--trials", "4"], "--trials is of searches within folds, but --nested is missing (4); add it"),
        (
            ["line", "--nested"],
            "models.line.search must say what is searched within folds, but is missing; write a range",
        ),
        (["two", "--nested"], "models.two.study.objectives must be [score] for a search within folds"),
        (
            ["begun", "--nested"],
            "models.begun.search.training.pretrained: every corner must be a valid model, but with",
        ),
        (["nobody"], "model 'nobody' is not in params.yaml"),
        (["line", "--folds", "80"], "each of 80 folds needs rows, but 72 rows are not enough; use fewer"),
    ],
)
def test_what_cannot_be_is_one_line(words: list[str], said: str, cv: Any, tmp_path: Path) -> None:
    search = {"training": {"optimizer": {"lr": {"type": "float", "low": 0.1, "high": 0.2}}}}
    either = {"type": "categorical", "choices": [None, {"model": "fivefold-line", "version": 1}]}
    models = {name: model_of(*FAMILIES[name]) for name in ("mlp",)} | {
        "line": model_of("mixes", LINE),
        "late": model_of("years", LINE),
        "coder": model_of(*FAMILIES["autoencoder"]),
        "judged": model_of(*FAMILIES["gan"], uses="mlp"),
        "codes": model_of("bars", LINE, uses="coder", select={"method": "autoencoder"}),
        "begun": model_of("mixes", LINE, search={"training": {"start": either}}),
        "two": model_of("mixes", LINE, search=search, study={"objectives": ["score", "parameters"]}),
    }
    write_project(tmp_path, models)
    params = tmp_path / "params.yaml"
    years = (
        "  years: {kind: table, source: mixes.csv, task: regression, target: y, normalize: standard,"
        " split: {validation: 0.2, test: 0.2, by: time, column: a}}\n"
    )
    params.write_text(params.read_text().replace("models:\n", f"{years}models:\n", 1))
    code, out, err = cv(*words)
    assert said in err
    assert (code, out, err.count("\n")) == ((1 if words == ["judged"] else 2), "", 1)
