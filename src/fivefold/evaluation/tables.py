"""Tables behind the plots, drawn by `evaluation.plots` and compared by `dvc plots`, and the table of predictions."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import metrics

from ..data.columns.dates import last_timestamps
from ..data.dataset import Array, Split
from ..data.schema import Schema
from ..data.targets import target_specs
from ..training.diagnostics.summary import Measurements
from .metrics import calibration_curve, median_prediction, naive_forecasts, ovr_classes, quantile_predictions

N_CURVE_POINTS = 201
"""Points of a ROC curve."""

ROC_COLUMNS = ("class", "auc", "false_positive_rate", "true_positive_rate")


def build_tables(schema: Schema, test: Split, p: Array, history: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return a table per plot, by name, from test rows and their predictions p by `predict_for_metrics`.

    Of several targets, the primary one is shown.
    """
    y, p, schema = test.y, target_specs(schema)[0].select_predictions(test, p), target_specs(schema)[0].schema
    columns = {"epoch": history["epoch"], "train": history["train/loss"], "val": history["val/loss"]}
    tables = {"learning_curve": pd.DataFrame(columns)}
    if schema.task == "language_modeling":
        return tables
    if not schema.classes:
        values = {"actual": y.ravel(), "predicted": median_prediction(schema, p).ravel()}
        tables["predicted_vs_actual"] = pd.DataFrame(values)
        return tables | ({"forecast": forecast_table(schema, test, p)} if schema.horizon else {})
    return tables | {
        "confusion_matrix": pd.DataFrame(
            {
                "actual": pd.Categorical.from_codes(y, schema.classes),
                "predicted": pd.Categorical.from_codes(p.argmax(axis=1), schema.classes),
            }
        ),
        "roc_curve": _roc_table(schema, y, p),
        "calibration_curve": pd.DataFrame(calibration_curve(y, p)),
    }


def gradient_table(measurements: Measurements) -> pd.DataFrame:
    """Return one row per epoch and layer: the gradient norm at the epoch's first step; NaN if it was not finite."""
    layers = measurements["gradient_norm"].items()
    rows = [(epoch + 1, layer, norm) for layer, norms in layers for epoch, norm in enumerate(norms)]
    return pd.DataFrame(rows, columns=["epoch", "layer", "norm"]).astype({"norm": float})


def forecast_table(schema: Schema, test: Split, p: Array) -> pd.DataFrame:
    """Return one row per test window and predicted value.

    Columns are step in the source, value name, steps ahead, actual, predicted and naive values; also the time of the
    step if the series has timestamps, and the lowest and highest quantile, such as `q0.1`.
    """
    k = len(schema.values)
    ahead = np.arange(k) // (k // schema.horizon)
    step = (test.rows[:, None] + ahead).ravel()
    # the last step of the series belongs to the test split
    times = last_timestamps(schema.frequency, schema.time_range, step.max() - step.min() + 1)
    frame = pd.DataFrame(
        {
            "step": step,
            **({} if times is None else {"time": times[step - step.min()]}),
            "value": np.tile(schema.values, len(test)),
            "ahead": np.tile(ahead + 1, len(test)),
            "actual": test.y.ravel(),
            "predicted": median_prediction(schema, p).ravel(),
        }
    )
    if schema.quantiles:
        for i in (0, -1):
            frame[f"q{schema.quantiles[i]:g}"] = quantile_predictions(schema, p)[:, :, i].ravel()
    for name, values in naive_forecasts(schema, test).items():
        frame[name] = values.ravel()
    return frame


def _roc_table(schema: Schema, y: Array, p: Array) -> pd.DataFrame:
    """Return one-vs-rest ROC curves, at evenly spaced false positive rates."""
    grid = np.linspace(0, 1, N_CURVE_POINTS)
    curves = []
    for index in ovr_classes(y, len(schema.classes)):
        false_positive, true_positive, _ = metrics.roc_curve(y == index, p[:, index])
        rates = np.concatenate(([0.0], np.interp(grid, false_positive, true_positive)))
        curve = {
            "class": schema.classes[index],
            "auc": metrics.auc(false_positive, true_positive),
            "false_positive_rate": np.r_[0.0, grid],
            "true_positive_rate": rates,
        }
        curves.append(pd.DataFrame(curve))
    return pd.concat(curves) if curves else pd.DataFrame(columns=list(ROC_COLUMNS))


def prediction_table(schema: Schema, split: Split, p: Array) -> pd.DataFrame:
    """Return one row per sample: row in the source, target, prediction and, for classes, a column `p_<class>` each.

    Several values have columns of their own, as have quantile levels. Language modeling has the probability of the true
    token. Columns of an extra target are prefixed with its name; missing targets stay empty.
    """
    primary, *extra_targets = target_specs(schema)
    frame = pd.DataFrame({"row": split.rows}).join(
        _target_predictions(primary.schema, split.y, primary.select_predictions(split, p))
    )
    for target in extra_targets:
        assert split.extra_targets is not None
        y, known = split.extra_targets[:, target.extra_index], target.known_mask(split)
        codes = np.where(known, y, 0).astype(np.int64)
        columns = _target_predictions(target.schema, codes if target.schema.classes else y, p[:, target.columns])
        frame = frame.join(columns.assign(target=columns["target"].where(known)).add_prefix(target.prefix))
    return frame


def _target_predictions(schema: Schema, y: Array, p: Array) -> pd.DataFrame:
    frame = pd.DataFrame(index=range(len(y)))
    if schema.values:
        actual, quantiles = y.reshape(len(y), -1), quantile_predictions(schema, p)
        for i, name in enumerate(schema.values):
            suffix = f"_{name}" if len(schema.values) > 1 else ""
            frame[f"target{suffix}"], frame[f"prediction{suffix}"] = actual[:, i], median_prediction(schema, p)[:, i]
            for j, level in enumerate(schema.quantiles):
                frame[f"q{level:g}{suffix}"] = quantiles[:, i, j]
        return frame
    names = np.array(schema.classes)
    frame["target"] = names[y]
    if schema.task == "language_modeling":
        return frame.assign(prediction=names[p[:, 1].astype(np.int64)], p=p[:, 0])
    frame["prediction"] = names[p.argmax(axis=1)]
    return frame.join(pd.DataFrame(p, columns=[f"p_{name}" for name in schema.classes]))


def save_tables(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Write each table as `<name>.csv` into the new `folder`."""
    folder.mkdir()
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
