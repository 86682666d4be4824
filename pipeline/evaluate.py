"""Weights -> reports/<model>/: metrics, predictions of the test rows, tables and pictures."""

import json

import pandas as pd

from fivefold import paths
from fivefold.data.storage import load_dataset
from fivefold.families.saved import load_model
from fivefold.scoring.lines import lines
from fivefold.scoring.metrics import scores_of
from fivefold.scoring.pictures import draw
from fivefold.scoring.predict import fewer, judged
from fivefold.scoring.tables import gradients, predictions, save_tables, tables
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
    doctor = json.loads((paths.model(name) / "doctor.json").read_text())
    with reporting("evaluate", name, saved.facts["fingerprint"]) as report:
        p = judged(saved, test)
        scores = {"test": scores_of(schema, test, p)}
        for short, every in (("val", dataset.validation), ("train", dataset.train)):
            records = fewer(saved, every)
            scores[short] = scores_of(schema, records, judged(saved, records))
        shown = tables(schema, test, p, history) | {"gradients": gradients(doctor["measured"])}
        with publishing(paths.report(name)) as folder:
            (folder / "metrics.json").write_text(json.dumps(scores, indent=2) + "\n")
            predictions(schema, test, p).to_parquet(folder / "predictions.parquet", index=False)
            save_tables(shown, folder / "tables")
            draw(shown, name, folder / "plots")
        told.evaluation(report, name)
    print(*(f"{name}: test {line}" for line in lines(schema, scores["test"])), sep="\n")


if __name__ == "__main__":
    run("evaluate", main, uncached=lambda name: paths.report(name) / "metrics.json")
