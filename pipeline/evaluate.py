"""Weights -> reports/<model>/: metrics, predictions of the test rows, tables and pictures."""

import json

import pandas as pd

from fivefold import paths
from fivefold.data.storage import load_dataset
from fivefold.evaluation.evaluate import judge
from fivefold.evaluation.plots import draw
from fivefold.evaluation.tables import save_tables
from fivefold.models.feature_extractor import judge_again
from fivefold.models.precision import use_threads
from fivefold.models.serialization import load_model
from fivefold.stages.outputs import publishing
from fivefold.stages.run import run
from fivefold.tracking import stage_logs
from fivefold.tracking.reporter import reporting


def main(name: str) -> None:
    """Score model `name` on the rows it was trained, chosen and tested with."""
    saved = load_model(paths.model(name))
    use_threads(saved.facts["params"]["training"]["threads"])
    dataset = load_dataset(paths.prepared(saved.facts["params"]["dataset"]))
    history = pd.read_csv(paths.model(name) / "history.csv")
    measured = json.loads((paths.model(name) / "doctor.json").read_text())["measured"]
    with reporting("evaluate", name, saved.facts["fingerprint"]) as report:
        found = judge(name, saved, dataset, history, measured, judge_again(saved.facts))
        with publishing(paths.report(name)) as folder:
            (folder / "metrics.json").write_text(json.dumps(found.scores, indent=2) + "\n")
            found.predictions.to_parquet(folder / "predictions.parquet", index=False)
            save_tables(found.tables, folder / "tables")
            draw(found.pictures, folder / "plots")
        stage_logs.evaluation(report, name)
    print(*(f"{name}: test {line}" for line in found.lines), sep="\n")


if __name__ == "__main__":
    run("evaluate", main, uncached=lambda name: paths.report(name) / "metrics.json")
