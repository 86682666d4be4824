"""Weights -> reports/<model>/: metrics, predictions of the test rows, tables and pictures."""

import json

import pandas as pd

from fivefold import paths
from fivefold.data.storage import load_dataset
from fivefold.evaluation.evaluate import evaluate
from fivefold.evaluation.plots import save_plots
from fivefold.evaluation.tables import save_tables
from fivefold.models.feature_extractor import load_reference_from_metadata
from fivefold.models.precision import set_num_threads
from fivefold.models.serialization import load_model
from fivefold.stages.outputs import atomic_output
from fivefold.stages.run import run
from fivefold.tracking import stage_logs
from fivefold.tracking.reporter import open_run_logger


def main(name: str) -> None:
    """Score model `name` on the rows it was trained, chosen and tested with."""
    saved = load_model(paths.model_dir(name))
    set_num_threads(saved.metadata["params"]["training"]["threads"])
    dataset = load_dataset(paths.prepared_dir(saved.metadata["params"]["dataset"]))
    history = pd.read_csv(paths.model_dir(name) / "history.csv")
    measured = json.loads((paths.model_dir(name) / "diagnostics.json").read_text())["measurements"]
    with open_run_logger("evaluate", name, saved.metadata["fingerprint"]) as report:
        found = evaluate(name, saved, dataset, history, measured, load_reference_from_metadata(saved.metadata))
        with atomic_output(paths.report_dir(name)) as folder:
            (folder / "metrics.json").write_text(json.dumps(found.scores, indent=2) + "\n")
            found.predictions.to_parquet(folder / "predictions.parquet", index=False)
            save_tables(found.tables, folder / "tables")
            save_plots(found.plots, folder / "plots")
        stage_logs.log_evaluation(report, name)
    print(*(f"{name}: test {line}" for line in found.summary), sep="\n")


if __name__ == "__main__":
    run("evaluate", main, uncached_output=lambda name: paths.report_dir(name) / "metrics.json")
