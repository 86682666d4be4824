"""The rows of a study: divided once into k folds, each prepared as if its held-out rows had never been seen.

Test rows are in no fold.

Set a part of training rows aside, by which the epoch is chosen, as the dataset sets its validation rows aside.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from . import paths
from .config.datasets import DatasetConfig as DatasetParams
from .config.models import Model
from .config.selection import EncoderSelection, SelectionConfig
from .data.dataset import Dataset, RawDataset, SplitIndices, SplitKeys
from .data.prepare import read_raw_dataset
from .data.schema import apply_levels
from .data.splitting import Indices, split_folds, split_rows
from .data.storage import MANIFEST
from .errors import ArtifactError, DataError, ParamsError
from .preprocessing.pipeline import Pipeline
from .preprocessing.scaling import fit_scaling
from .preprocessing.selection import fit_selection, load_encoder
from .training.supervised import adapt_dataset

EMPTY_INDICES: NDArray[np.int64] = np.array([], np.int64)


@dataclass(frozen=True)
class SplitDataset:
    """A source that was read, and its rows divided as the pipeline divides them.

    block: of the dataset. seed: of the division.
    """

    dataset_params: DatasetParams
    raw: RawDataset
    indices: SplitIndices
    seed: int

    @classmethod
    def read(cls, dataset_params: DatasetParams, seed: int) -> "SplitDataset":
        """Read a dataset.

        Raises:
            DataError: its source breaks a rule, or holds what `prepare` would stop at.
        """
        try:
            raw = read_raw_dataset(dataset_params)
            parts = split_rows(raw.keys, dataset_params.split, seed)
            apply_levels([*raw.checks, *raw.encode(parts).checks], dataset_params.checks)
        except DataError as error:
            raise error.with_source(dataset_params.source) from None
        return cls(dataset_params, raw, parts, seed)

    def fold_indices(self, k: int, seed: int) -> list[SplitIndices]:
        """Return k divisions of the training and validation rows; the validation rows of each are held out.

        k: 1 is the division of the pipeline itself.

        Raises:
            DataError: there are too few rows for k folds.
        """
        if k == 1:
            return [{**self.indices, "test": EMPTY_INDICES}]
        pairs = split_folds(self.raw.keys, self.indices, self.dataset_params.split.by, k, seed)
        return [{"train": train, "validation": held, "test": EMPTY_INDICES} for train, held in pairs]

    @cached_property
    def digest(self) -> str:
        """A hash of the rows that a study sees: those of its first fold, as they are encoded."""
        dataset = self.raw.encode({**self.indices, "test": EMPTY_INDICES})
        total = hashlib.sha256()
        for records in (dataset.train, dataset.validation):
            for array in (records.x, records.y, records.rows):
                total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()[:16]


class Fold:
    """Rows to learn and rows held out, with what is learnt from the former alone.

    Fitted selections are kept: trials often share them.
    """

    def __init__(self, split_dataset: SplitDataset, indices: SplitIndices) -> None:
        self.split_dataset, self.indices = split_dataset, indices
        self.pipelines: dict[SelectionConfig, Pipeline] = {}

    @cached_property
    def dataset(self) -> Dataset:
        """The rows, encoded by what training rows tell."""
        return self.split_dataset.raw.encode(self.indices)

    @cached_property
    def scaling(self) -> Pipeline:
        """The scaling that training rows tell."""
        return fit_scaling(self.dataset.train.x, self.dataset.schema, self.split_dataset.dataset_params)

    def prepare(self, model: Model, seed: int) -> tuple[Dataset, Pipeline]:
        """Return the rows as `model` learns them, and the preprocessing fitted to its training rows.

        Raises:
            DataError: `select` asks for what these rows have not.
            ArtifactError: the autoencoder whose codes `select` takes was not trained.
        """
        if model.select not in self.pipelines:
            x, y = self.scaling(self.dataset.train.x), self.dataset.train.y
            encoder = (
                load_encoder(paths.model_dir(model.depends_on)) if isinstance(model.select, EncoderSelection) else ()
            )
            found = fit_selection(x, y, self.dataset.schema, model.select, seed, self.scaling.feature_names, encoder)
            self.pipelines[model.select] = self.scaling.with_steps(
                *found.steps, feature_names=found.feature_names or None
            )
        return adapt_dataset(model, self.split_dataset.dataset_params, self.dataset, self.pipelines[model.select])


def build_folds(split_dataset: SplitDataset, k: int, seed: int) -> list[Fold]:
    """Return k folds of the training and validation rows."""
    return [Fold(split_dataset, parts) for parts in split_dataset.fold_indices(k, seed)]


def find_leakage(model: Model, k: int) -> Iterator[str]:
    """Yield why a model cannot be judged by rows held out, if it cannot."""
    if k > 1 and isinstance(model.select, EncoderSelection):
        yield (
            f"select: the autoencoder {model.depends_on!r} has learnt rows that folds hold out; set folds to 1, or choose"
            " another select"
        )
    start = model.training.pretrained
    if k > 1 and start is not None:
        yield (
            "training.pretrained: the model that it begins with may have learnt rows that folds hold out; set folds to 1,"
            " or leave it out"
        )


def check_leakage(model_name: str, model: Model, k: int) -> None:
    """Refuse to hold rows out from a model that has learnt them already, by a `ParamsError`."""
    for problem in find_leakage(model, k):
        raise ParamsError(f"models.{model_name}.{problem}")


def require_source_model(model_name: str, model: Model) -> None:
    """Refuse to go on without the model that `uses` names, by an `ArtifactError`."""
    if model.source_model and not (paths.model_dir(model.source_model) / MANIFEST).exists():
        raise ArtifactError(
            f"models.{model_name}.depends_on: {model.source_model} must be trained before, but {paths.model_dir(model.source_model)} holds no"
            f" model; run `dvc repro train@{model.source_model}`"
        )


def validation_fraction(indices: SplitIndices) -> float:
    """Return the share of validation rows in what a dataset leaves beside test rows."""
    return len(indices["validation"]) / (len(indices["validation"]) + len(indices["train"]))


def hold_out(keys: SplitKeys, rows: Indices, split_by: str, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Return the `rows` to learn and those set aside.

    by: the dataset's `split.by`. time: the latest rows, of which rows of one instant stay together, behind as many
    rows left out as share a target with them; group: whole groups; otherwise by class where there are classes, and
    random without looking.

    Raises:
        DataError: there are too few rows or groups.
    """
    try:
        if split_by == "time":
            train, aside = _hold_out_latest(keys, rows, _hold_out_size(fraction, len(rows)))
        elif split_by == "group" and keys.groups is not None:
            train, aside = _hold_out_groups(keys.groups[rows], rows, fraction, seed)
        else:
            size, labels = _hold_out_size(fraction, len(rows)), _stratify_labels(keys, rows, split_by)
            if labels is not None:
                size = max(size, len(np.unique(labels)))  # a row of each class
            train, aside = train_test_split(rows, test_size=size, random_state=seed, stratify=labels)
            train, aside = np.sort(train), np.sort(aside)
    except ValueError:  # of scikit-learn, whose words are of its own names
        raise _too_few_rows_error(len(rows)) from None
    if not len(train) or not len(aside):
        raise _too_few_rows_error(len(rows))
    return train, aside


def _hold_out_size(fraction: float, n: int) -> int:
    return min(max(round(fraction * n), 1), n - 1)


def _stratify_labels(keys: SplitKeys, rows: Indices, split_by: str) -> np.ndarray | None:
    """Return the classes to draw by; None if there are none, or one is too rare."""
    if not keys.classes or split_by == "random":
        return None
    _, counts = np.unique(keys.y[rows], return_counts=True)
    return np.asarray(keys.y[rows]) if counts.min() > 1 else None


def _hold_out_latest(keys: SplitKeys, rows: Indices, size: int) -> tuple[Indices, Indices]:
    cut = len(rows) - size
    if keys.time is not None:
        times = keys.time[rows]
        cut = int(np.searchsorted(times, times[cut]))
    return rows[: max(cut - keys.overlap, 0)], rows[cut:]


def _hold_out_groups(groups: np.ndarray, rows: Indices, fraction: float, seed: int) -> tuple[Indices, Indices]:
    size = _hold_out_size(fraction, len(np.unique(groups)))
    rest, drawn = next(GroupShuffleSplit(1, test_size=size, random_state=seed).split(rows, groups=groups))
    return rows[rest], rows[drawn]


def _too_few_rows_error(n_rows: int) -> DataError:
    return DataError(
        f"each fold must leave rows, or groups, to learn and others to choose the epoch by, but {n_rows} training rows do"
        " not suffice; bring more rows, or choose another number of folds"
    )
