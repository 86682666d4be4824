"""What the plots show, as tables: DVC draws and compares them, scoring/pictures.py draws them too."""

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
ROC_COLUMNS = ("class", "area", "false_positive_rate", "true_positive_rate")


def build_tables(schema: Schema, test: Split, p: Array, history: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return a table per plot, by name, for test rows and predictions p as `scoring.predict.judged` gives them.

    Of several targets the leading one is shown.
    """
    y, p, schema = test.y, target_specs(schema)[0].select_predictions(test, p), target_specs(schema)[0].schema
    columns = {"epoch": history["epoch"], "train": history["train/loss"], "val": history["val/loss"]}
    learning = pd.DataFrame(columns)
    if schema.task == "language_modeling":
        return {"learning_curve": learning}
    if not schema.classes:
        told = {"actual": y.ravel(), "predicted": median_prediction(schema, p).ravel()}
        shown = {"learning_curve": learning, "predicted": pd.DataFrame(told)}
        return shown | ({"forecast": forecast_table(schema, test, p)} if schema.horizon else {})
    return {
        "learning_curve": learning,
        "confusion": pd.DataFrame(
            {
                "actual": pd.Categorical.from_codes(y, schema.classes),
                "predicted": pd.Categorical.from_codes(p.argmax(axis=1), schema.classes),
            }
        ),
        "roc": _roc_table(schema, y, p),
        "calibration": pd.DataFrame(calibration_curve(y, p)),
    }


def gradient_table(measurements: Measurements) -> pd.DataFrame:
    """Return a row per epoch and layer: norm of the gradient at the epoch's first step; NaN if it was not finite."""
    layers = measurements["gradient_norm"].items()
    rows = [(epoch + 1, layer, norm) for layer, norms in layers for epoch, norm in enumerate(norms)]
    return pd.DataFrame(rows, columns=["epoch", "layer", "norm"]).astype({"norm": float})


def forecast_table(schema: Schema, test: Split, p: Array) -> pd.DataFrame:
    """Return a row per step and value told: step in the source, name, steps ahead, actual, predicted and naive values.

    Also the time of the step where the series' steps are known, and of quantiles the lowest and the highest, `q0.1`.
    """
    k = len(schema.values)
    ahead = np.arange(k) // (k // schema.horizon)
    step = (test.rows[:, None] + ahead).ravel()
    times = last_timestamps(
        schema.frequency, schema.time_range, step.max() - step.min() + 1
    )  # the last step is a test row's
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
        for place in (0, -1):
            frame[f"q{schema.quantiles[place]:g}"] = quantile_predictions(schema, p)[:, :, place].ravel()
    for name, values in naive_forecasts(schema, test).items():
        frame[name] = values.ravel()
    return frame


def _roc_table(schema: Schema, y: Array, p: Array) -> pd.DataFrame:
    """Return columns class, area, false_positive_rate, true_positive_rate; each class against the rest, even steps."""
    even = np.linspace(0, 1, N_CURVE_POINTS)
    curves = []
    for index in ovr_classes(y, len(schema.classes)):
        false_positive, true_positive, _ = metrics.roc_curve(y == index, p[:, index])
        rates = np.concatenate(([0.0], np.interp(even, false_positive, true_positive)))
        curve = {
            "class": schema.classes[index],
            "area": metrics.auc(false_positive, true_positive),
            "false_positive_rate": np.r_[0.0, even],
            "true_positive_rate": rates,
        }
        curves.append(pd.DataFrame(curve))
    return pd.concat(curves) if curves else pd.DataFrame(columns=list(ROC_COLUMNS))


def prediction_table(schema: Schema, split: Split, p: Array) -> pd.DataFrame:
    """Return a row per record: row in the source, target, prediction; for classes a column p_<class> each.

    Of several values each has its columns; of quantiles each level has one. Of a text: the true token's probability.
    A further target has such columns too, its name before theirs; what is missing there stays empty.
    """
    leading, *others = target_specs(schema)
    frame = pd.DataFrame({"row": split.rows}).join(
        _target_predictions(leading.schema, split.y, leading.select_predictions(split, p))
    )
    for goal in others:
        assert split.extra_targets is not None
        y, known = split.extra_targets[:, goal.extra_index], goal.known_mask(split)
        index = np.where(known, y, 0).astype(np.int64)
        part = _target_predictions(goal.schema, index if goal.schema.classes else y, p[:, goal.columns])
        frame = frame.join(part.assign(target=part["target"].where(known)).add_prefix(goal.prefix))
    return frame


def _target_predictions(schema: Schema, y: Array, p: Array) -> pd.DataFrame:
    frame = pd.DataFrame(index=range(len(y)))
    if schema.values:
        truth, told = y.reshape(len(y), -1), quantile_predictions(schema, p)
        for i, name in enumerate(schema.values):
            end = f"_{name}" if len(schema.values) > 1 else ""
            frame[f"target{end}"], frame[f"prediction{end}"] = truth[:, i], median_prediction(schema, p)[:, i]
            for j, level in enumerate(schema.quantiles):
                frame[f"q{level:g}{end}"] = told[:, i, j]
        return frame
    names = np.array(schema.classes)
    frame["target"] = names[y]
    if schema.task == "language_modeling":
        return frame.assign(prediction=names[p[:, 1].astype(np.int64)], p=p[:, 0])
    frame["prediction"] = names[p.argmax(axis=1)]
    return frame.join(pd.DataFrame(p, columns=[f"p_{name}" for name in schema.classes]))


def save_tables(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Write `<name>.csv` into the new `folder` for each table."""
    folder.mkdir()
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
