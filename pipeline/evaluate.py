"""Weights -> reports/<model>/: metrics, predictions of the test rows, tables and pictures."""

import json

import pandas as pd

from fivefold import paths
from fivefold.data.storage import load_dataset
from fivefold.families.saved import load_model
from fivefold.scoring.metrics import metrics_of, score
from fivefold.scoring.pictures import draw
from fivefold.scoring.predict import predict
from fivefold.scoring.tables import predictions, save_tables, tables
from fivefold.stages.publish import publishing
from fivefold.stages.run import run
from fivefold.tracking import told
from fivefold.tracking.report import reporting


def main(name: str) -> None:
    """Score model `name` on the rows it was trained, chosen and tested with."""
    saved = load_model(paths.model(name))
    dataset = load_dataset(paths.prepared(saved.facts["params"]["dataset"]))
    schema, test = saved.schema, dataset.test
    history = pd.read_csv(paths.model(name) / "history.csv")
    with reporting("evaluate", name, saved.facts["fingerprint"]) as report:
        p = {split: predict(saved.model, records.x) for split, records in dataset.splits().items()}
        scores = {
            short: score(schema, getattr(dataset, split).y, p[split])
            for short, split in (("test", "test"), ("val", "validation"), ("train", "train"))
        }
        shown = tables(schema, test.y, p["test"], history)
        with publishing(paths.report(name)) as folder:
            (folder / "metrics.json").write_text(json.dumps(scores, indent=2) + "\n")
            predictions(schema, test, p["test"]).to_parquet(folder / "predictions.parquet", index=False)
            save_tables(shown, folder / "tables")
            draw(shown, name, folder / "plots")
        told.evaluation(report, name)
    for metric in metrics_of(schema):
        value = scores["test"][metric.name]
        print(f"{name}: test {metric.name} {value:.4f} ({metric.unit}, {metric.better} is better)")


if __name__ == "__main__":
    run("evaluate", main, uncached=lambda name: paths.report(name) / "metrics.json")
