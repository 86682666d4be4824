"""What the plots show, as tables: DVC draws and compares them, scoring/pictures.py draws them too."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import metrics

from ..data.records import Array, Records
from ..data.schema import Schema
from .metrics import calibration

CURVE_POINTS = 201
ROC = ("class", "area", "false_positive_rate", "true_positive_rate")


def tables(schema: Schema, y: Array, p: Array, history: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return a table per plot, by name, for targets y (n,) and predictions p (n, k)."""
    columns = {"epoch": history["epoch"] + 1, "train": history["train/loss"], "val": history["val/loss"]}
    learning = pd.DataFrame(columns)
    if schema.task == "language":
        return {"learning_curve": learning}
    if not schema.classes:
        return {"learning_curve": learning, "predicted": pd.DataFrame({"actual": y.ravel(), "predicted": p.ravel()})}
    names = np.array(schema.classes)
    return {
        "learning_curve": learning,
        "confusion": pd.DataFrame({"actual": names[y], "predicted": names[p.argmax(axis=1)]}),
        "roc": _roc(schema, y, p),
        "calibration": pd.DataFrame(calibration(y, p)),
    }


def _roc(schema: Schema, y: Array, p: Array) -> pd.DataFrame:
    """Return columns class, area, false_positive_rate, true_positive_rate; each class against the rest, even steps."""
    # of two classes one curve says all
    indices = range(1, 2) if len(schema.classes) == 2 else range(len(schema.classes))
    even = np.linspace(0, 1, CURVE_POINTS)
    curves = []
    for index in indices:
        truth = y == index
        if truth.all() or not truth.any():
            continue  # a class without test rows, or the only one, has no curve
        false_positive, true_positive, _ = metrics.roc_curve(truth, p[:, index])
        rates = np.concatenate(([0.0], np.interp(even, false_positive, true_positive)))
        curve = {
            "class": schema.classes[index],
            "area": metrics.auc(false_positive, true_positive),
            "false_positive_rate": np.r_[0.0, even],
            "true_positive_rate": rates,
        }
        curves.append(pd.DataFrame(curve))
    return pd.concat(curves) if curves else pd.DataFrame(columns=list(ROC))


def predictions(schema: Schema, records: Records, p: Array) -> pd.DataFrame:
    """Return a row per record: row in the source, target, prediction, and for classes a column p_<class> each."""
    if len(schema.values) == 1:
        return pd.DataFrame({"row": records.rows, "target": records.y.ravel(), "prediction": p[:, 0]})
    if schema.values:
        frame = pd.DataFrame({"row": records.rows})
        for i, name in enumerate(schema.values):
            frame[f"target_{name}"], frame[f"prediction_{name}"] = records.y[:, i], p[:, i]
        return frame
    names = np.array(schema.classes)
    frame = pd.DataFrame({"row": records.rows, "target": names[records.y], "prediction": names[p.argmax(axis=1)]})
    return frame.join(pd.DataFrame(p, columns=[f"p_{name}" for name in schema.classes]))


def save_tables(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Write `<name>.csv` into the new `folder` for each table."""
    folder.mkdir()
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
