"""The default project after `dvc repro`, as its user finds it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from fivefold.config.loading import load_params

from .project import ROOT, Project

PARAMS = load_params(ROOT / "params.yaml")
MODELS = tuple(PARAMS.models)
STAGES = 1 + len(PARAMS.datasets) + 4 * len(MODELS)


def test_every_model_is_registered_with_both_aliases(finished: Project) -> None:
    registered = {model.name: model.aliases for model in finished.mlflow().search_registered_models()}
    assert registered == {f"fivefold-{name}": {"challenger": 1, "champion": 1} for name in MODELS}


def test_what_is_registered_lies_in_the_project_s_store(finished: Project) -> None:
    client = finished.mlflow()
    for name in MODELS:
        version = client.get_model_version(f"fivefold-{name}", "1")
        assert version.run_id == finished.runs(name)[0].info.run_id
        place = client.get_model_version_download_uri(version.name, version.version)
        assert place.startswith((finished.folder / "mlruns/artifacts").as_uri()), place
    assert {path.name for path in (finished.folder / "mlruns").iterdir()} == {".gitkeep", "artifacts", "mlflow.db"}


@pytest.mark.parametrize("name", MODELS)
def test_each_model_has_one_finished_run_with_its_lineage(finished: Project, name: str) -> None:
    (run,) = finished.runs(name)
    facts = finished.json(f"models/{name}/model.json")
    commit = finished.run("git", "rev-parse", "HEAD").stdout.strip()
    assert run.info.status == "FINISHED"
    assert run.data.tags["fivefold.fingerprint"] == facts["fingerprint"]
    assert run.data.tags["git.commit"] == commit
    assert run.data.tags["dvc.stage"] == f"train@{name}"
    assert run.data.params["training.optimizer.lr"] == str(facts["params"]["training"]["optimizer"]["lr"])
    scores = finished.json(f"reports/{name}/metrics.json")["test"]
    assert {metric: run.data.metrics[f"test/{metric}"] for metric in scores} == pytest.approx(scores)


def test_a_run_has_a_point_for_each_epoch(finished: Project) -> None:
    (run,) = finished.runs("cnn")
    history = pd.read_csv(finished.folder / "models/cnn/history.csv")
    points = finished.mlflow().get_metric_history(run.info.run_id, "val/loss")
    assert [point.step for point in points] == history.epoch.to_list()
    assert [point.value for point in points] == pytest.approx(history["val/loss"].to_list())


def test_a_run_names_its_datasets_with_the_digest_that_dvc_knows(finished: Project) -> None:
    (run,) = finished.runs("mlp")
    lock = YAML(typ="safe").load(finished.folder / "dvc.lock")
    (out,) = lock["stages"]["prepare@breast_cancer"]["outs"]
    found = {(i.dataset.name, i.dataset.digest, i.tags[0].value) for i in run.inputs.dataset_inputs}
    splits = ("train", "validation", "test")
    assert found == {(f"breast_cancer.{split}", out["md5"], split) for split in splits}


def test_a_run_keeps_pictures_and_facts_as_artifacts(finished: Project) -> None:
    (run,) = finished.runs("mlp")
    client = finished.mlflow()
    folders = ("data", "selection", "training", "evaluation")
    names = {Path(f.path).name for folder in folders for f in client.list_artifacts(run.info.run_id, folder)}
    assert names >= {"checks.json", "selection.png", "selection.csv", "model.json", "history.csv", "metrics.json"}
    assert names >= {"diagnostics.json", "gradients.png"}
    assert names >= {
        "confusion_matrix.png",
        "roc_curve.png",
        "calibration_curve.png",
        "learning_curve.png",
        "predictions.parquet",
    }


@pytest.mark.parametrize("name", MODELS)
def test_diagnostics_find_no_problem_and_measurements_are_logged_to_the_run(finished: Project, name: str) -> None:
    diagnostics = finished.json(f"models/{name}/diagnostics.json")
    assert diagnostics["findings"] == []
    (run,) = finished.runs(name)
    assert run.data.tags["diagnostics"] == "no problems found"
    for layer, norms in diagnostics["measurements"]["gradient_norm"].items():
        points = finished.mlflow().get_metric_history(run.info.run_id, f"diagnostics/gradient_norm/{layer}")
        assert [point.value for point in points] == pytest.approx(norms)


def test_the_scores_reach_the_bars(finished: Project) -> None:
    test = {name: finished.json(f"reports/{name}/metrics.json")["test"] for name in MODELS}
    assert test["mlp"]["accuracy"] >= 0.95
    assert test["cnn"]["accuracy"] >= 0.97
    assert test["mlp_regression"]["r2"] >= 0.85
    assert test["autoencoder"]["mse"] < 0.8 * test["autoencoder"]["pca_mse"]
    assert test["lstm"]["rmse"] <= 20 < test["lstm"]["naive_rmse"] < test["lstm"]["seasonal_naive_rmse"]


def test_a_second_repro_runs_no_stage(finished: Project) -> None:
    told = finished.run("dvc", "repro").stdout
    assert told.count("didn't change, skipping") == STAGES
    assert "Running stage" not in told


def test_deleted_reports_come_back_from_the_cache(finished: Project) -> None:
    reports = finished.folder / "reports"
    before = {path.relative_to(reports): path.read_bytes() for path in reports.rglob("*") if path.is_file()}
    shutil.rmtree(reports)
    told = finished.run("dvc", "repro").stdout
    assert told.count("is cached - skipping run, checking out outputs") == len(MODELS)
    assert "Running stage" not in told
    assert {path.relative_to(reports): path.read_bytes() for path in reports.rglob("*") if path.is_file()} == before


ALONE = """
import json, sys
import numpy as np, onnxruntime, pandas as pd
session = onnxruntime.InferenceSession(sys.argv[1])
takes = json.loads(session.get_modelmeta().custom_metadata_map["fivefold"])["input"]
frame = pd.read_csv(sys.argv[2])
(out,) = session.run(None, {"x": frame[takes["features"]].to_numpy(takes["dtype"])})
assert not {"fivefold", "torch", "sklearn", "mlflow"} & set(sys.modules)
np.save(sys.argv[3], out)
"""


@pytest.mark.parametrize("name", ["mlp", "mlp_regression"])
def test_the_onnx_file_alone_predicts_from_raw_rows(finished: Project, tmp_path: Path, name: str) -> None:
    source = finished.folder / "data/raw/concrete.csv"
    if name == "mlp":  # the same raw numbers as a CSV
        from sklearn.datasets import load_breast_cancer

        source = tmp_path / "raw.csv"
        frame = load_breast_cancer(as_frame=True).data
        frame.rename(columns=lambda column: column.replace(" ", "_")).to_csv(source, index=False)
    graph = finished.folder / f"models/{name}/model.onnx"
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(graph), str(source), str(tmp_path / "out.npy")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    predictions = pd.read_parquet(finished.folder / f"reports/{name}/predictions.parquet")
    columns = [c for c in predictions if c.startswith("p_")] or ["prediction"]
    found = np.load(tmp_path / "out.npy")[predictions.row]
    np.testing.assert_allclose(found, predictions[columns], rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("default")
def test_the_registered_champion_predicts_the_same(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{finished.folder}/mlruns/mlflow.db")
    mlflow.set_tracking_uri(f"sqlite:///{finished.folder}/mlruns/mlflow.db")
    champion = mlflow.pyfunc.load_model("models:/fivefold-cnn@champion")
    x = np.load(finished.folder / "data/prepared/digits/test/x.npy")
    predictions = pd.read_parquet(finished.folder / "reports/cnn/predictions.parquet")
    found = champion.predict({"x": x})["probabilities"]
    np.testing.assert_allclose(found, predictions[[f"p_{digit}" for digit in range(10)]], atol=1e-5)
    pinned = Path(mlflow.pyfunc.get_model_dependencies("models:/fivefold-cnn@champion")).read_text().split()
    assert {line.partition("==")[0] for line in pinned} >= {"numpy", "onnx", "onnxruntime"}


def test_dvc_shows_metrics_plots_and_the_graph(finished: Project) -> None:
    metrics = json.loads(finished.run("dvc", "metrics", "show", "--json").stdout)
    assert set(metrics[""]["data"]) == {f"reports/{name}/metrics.json" for name in MODELS}
    plots = json.loads(finished.run("dvc", "plots", "show", "--json").stdout)["data"]
    titles = {"confusion matrix", "ROC curve", "calibration curve", "learning curves", "predicted vs actual"}
    assert titles | {"forecast"} <= set(plots)
    assert "reports/cnn/plots/confusion_matrix.png" in plots
    assert "export@mlp_regression" in finished.run("dvc", "dag").stdout


def test_metrics_are_the_same_for_the_same_seed_and_others_for_another(finished: Project, tmp_path: Path) -> None:
    shutil.copytree(finished.folder, tmp_path / "fivefold")
    project = Project(tmp_path / "fivefold")
    metrics = project.folder / "reports/mlp/metrics.json"
    weights = project.folder / "models/mlp/weights.safetensors"
    before = metrics.read_bytes(), weights.read_bytes()
    project.run("dvc", "repro", "--force", "--single-item", "train@mlp", "evaluate@mlp")
    assert (metrics.read_bytes(), weights.read_bytes()) == before
    project.change("seed", 43)
    project.run("dvc", "repro", "evaluate@mlp")
    assert metrics.read_bytes() != before[0]


def test_scores_are_the_same_to_the_last_digit_on_other_threads(finished: Project, tmp_path: Path) -> None:
    shutil.copytree(finished.folder, tmp_path / "fivefold")
    project = Project(tmp_path / "fivefold")
    written = [project.folder / name for name in ("reports/gan/metrics.json", "models/gan/parity.json")]
    before = [path.read_bytes() for path in written]
    for stage in ("evaluate", "export"):
        project.run("python", "-m", f"pipeline.{stage}", "gan", OMP_NUM_THREADS="3")
    assert [path.read_bytes() for path in written] == before


def test_an_experiment_with_another_rate_is_another_run(finished: Project, tmp_path: Path) -> None:
    shutil.copytree(finished.folder, tmp_path / "fivefold")
    shutil.rmtree(tmp_path / "fivefold/mlruns")  # its records point into the folder it was copied from
    project = Project(tmp_path / "fivefold")
    project.run("dvc", "exp", "run", "-S", "models.mlp.training.optimizer.lr=0.001", "evaluate@mlp")
    (run,) = project.runs("mlp")
    assert run.data.params["training.optimizer.lr"] == "0.001"
    assert run.data.tags["dvc.experiment"]
    assert "0.001" in project.run("dvc", "exp", "show", "--csv").stdout
