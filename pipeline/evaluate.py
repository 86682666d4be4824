"""Weights -> reports/<model>/: metrics, predictions of the test rows, tables and plots."""

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
    """Evaluate model `name` on its training, validation and test rows."""
    trained_model = load_model(paths.model_dir(name))
    set_num_threads(trained_model.metadata["params"]["training"]["num_threads"])
    dataset = load_dataset(paths.prepared_dir(trained_model.metadata["params"]["dataset"]))
    history = pd.read_csv(paths.model_dir(name) / "history.csv")
    diagnostics = json.loads((paths.model_dir(name) / "diagnostics.json").read_text())
    with open_run_logger("evaluate", name, trained_model.metadata["fingerprint"]) as run_logger:
        reference = load_reference_from_metadata(trained_model.metadata)
        report = evaluate(name, trained_model, dataset, history, diagnostics["measurements"], reference)
        with atomic_output(paths.report_dir(name)) as folder:
            (folder / "metrics.json").write_text(json.dumps(report.scores, indent=2) + "\n")
            report.predictions.to_parquet(folder / "predictions.parquet", index=False)
            save_tables(report.tables, folder / "tables")
            save_plots(report.plots, folder / "plots")
        stage_logs.log_evaluation(run_logger, name)
    print(*(f"{name}: test {line}" for line in report.summary), sep="\n")


if __name__ == "__main__":
    run("evaluate", main, uncached_output=lambda name: paths.report_dir(name) / "metrics.json")
