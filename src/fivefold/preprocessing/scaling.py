"""Imputation and normalization, fitted on training rows."""

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from ..data.records import Array
from ..params.datasets import Dataset
from .chain import Chain, Step


def fit_scaling(x: Array, params: Dataset) -> Chain:
    """Return the chain that `normalize` asks for, fitted on training records x (n, ...) in raw units.

    A table's missing values become the column's median, also where training rows have none missing: a row to predict
    may.
    """
    if params.kind == "images":
        return Chain("float32", ()).then(*_image_steps(x, params.normalize))
    imputer = SimpleImputer(strategy="median", keep_empty_features=True).fit(x)
    filled = imputer.transform(x)
    impute = Step("impute", {"fill": imputer.statistics_})
    return Chain("float64", ()).then(impute, *_table_steps(filled, params.normalize))


def _table_steps(x: Array, normalize: str) -> tuple[Step, ...]:
    match normalize:
        case "standard":
            scaler = StandardScaler().fit(x)
            return (_affine(scaler.mean_, 1 / scaler.scale_),)
        case "minmax":
            scaler = MinMaxScaler().fit(x)
            return (_affine(scaler.data_min_, scaler.scale_),)
        case "robust":
            scaler = RobustScaler().fit(x)
            return (_affine(scaler.center_, 1 / scaler.scale_),)
        case "l2":
            return (Step("unit_norm", {}),)
        case _:
            return ()


def _image_steps(x: Array, normalize: str) -> tuple[Step, ...]:
    over = (0, 2, 3)
    match normalize:
        case "standard":
            shift, width = x.mean(axis=over, dtype=np.float64), x.std(axis=over, dtype=np.float64)
        case "minmax":
            shift = x.min(axis=over).astype(np.float64)
            width = x.max(axis=over) - shift
        case _:
            return ()
    scale = 1 / np.where(width == 0, 1.0, width)
    return (_affine(shift[:, None, None], scale[:, None, None]),)


def _affine(shift: Array, scale: Array) -> Step:
    return Step("affine", {"shift": shift, "scale": scale})
