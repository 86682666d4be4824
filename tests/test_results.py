"""The table of results and the next commands, which `make repro` prints after the pipeline."""

import json
from pathlib import Path

import pytest

from fivefold.config.loading import parse_params, read_yaml
from fivefold.results import format_results, next_commands

ROOT = Path(__file__).parents[1]


def test_main_test_metric_of_every_model_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = read_yaml(ROOT / "params.yaml")
    tree["models"] = {name: tree["models"][name] for name in ("mlp", "mlp_regression")}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports/mlp").mkdir(parents=True)
    scores = {"test": {"accuracy": 0.98765, "auc": 1.0}, "val": {"accuracy": 0.5}}
    (tmp_path / "reports/mlp/metrics.json").write_text(json.dumps(scores))
    assert format_results(parse_params(tree)) == [
        "model           dataset        main test metric",
        "--------------  -------------  ----------------",
        "mlp             breast_cancer  accuracy 0.9877",
        "mlp_regression  concrete       not evaluated",
    ]


def test_three_commands_follow() -> None:
    tree = read_yaml(ROOT / "params.yaml")
    commands = [line.partition("#")[0].strip() for line in next_commands(parse_params(tree))]
    assert commands == ["fivefold ui", "fivefold study run mlp", "fivefold add FILE"]
    for model in tree["models"].values():
        model.pop("search", None)
    commands = [line.partition("#")[0].strip() for line in next_commands(parse_params(tree))]
    assert commands == ["fivefold ui", "fivefold cv mlp", "fivefold add FILE"]


def test_make_prints_the_results_after_the_pipeline_has_succeeded() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\nrepro:")[2].partition("\n\n")[0]
    assert recipe.splitlines()[1:] == ["\tdvc repro", "\tfivefold results"]
