"""Cross-validation folds of the training and validation rows, and hold-out splits of training rows.

Everything that is fitted to data is fitted to the training rows of a fold only. Test rows are in no fold.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from . import paths
from .config.datasets import DatasetConfig
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
    """A dataset read from its source, with the split of the pipeline.

    dataset_params: block of the dataset. indices: rows of each split. seed: seed of the split.
    """

    dataset_params: DatasetConfig
    raw: RawDataset
    indices: SplitIndices
    seed: int

    @classmethod
    def read(cls, dataset_params: DatasetConfig, seed: int) -> "SplitDataset":
        """Read and split a dataset.

        Raises:
            DataError: the source is invalid, or fails a check of the prepare stage.
        """
        try:
            raw = read_raw_dataset(dataset_params)
            indices = split_rows(raw.keys, dataset_params.split, seed)
            apply_levels([*raw.checks, *raw.encode(indices).checks], dataset_params.checks)
        except DataError as error:
            raise error.with_source(dataset_params.source) from None
        return cls(dataset_params, raw, indices, seed)

    def fold_indices(self, k: int, seed: int) -> list[SplitIndices]:
        """Return k splits of the training and validation rows; the validation rows of each split are held out.

        k: number of folds; 1: the split of the pipeline.

        Raises:
            DataError: there are too few rows for k folds.
        """
        if k == 1:
            return [{**self.indices, "test": EMPTY_INDICES}]
        pairs = split_folds(self.raw.keys, self.indices, self.dataset_params.split.by, k, seed)
        return [{"train": train, "validation": held_out, "test": EMPTY_INDICES} for train, held_out in pairs]

    @cached_property
    def digest(self) -> str:
        """Hash of the encoded training and validation rows."""
        dataset = self.raw.encode({**self.indices, "test": EMPTY_INDICES})
        digest = hashlib.sha256()
        for split in (dataset.train, dataset.validation):
            for array in (split.x, split.y, split.rows):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


class Fold:
    """Training and held-out rows, with preprocessing fitted to the training rows.

    Fitted selections are cached, since trials often share them.
    """

    def __init__(self, split_dataset: SplitDataset, indices: SplitIndices) -> None:
        self.split_dataset, self.indices = split_dataset, indices
        self.pipelines: dict[SelectionConfig, Pipeline] = {}

    @cached_property
    def dataset(self) -> Dataset:
        """Rows, encoded with categories and statistics of the training rows."""
        return self.split_dataset.raw.encode(self.indices)

    @cached_property
    def scaling(self) -> Pipeline:
        """Scaling fitted to the training rows."""
        return fit_scaling(self.dataset.train.x, self.dataset.schema, self.split_dataset.dataset_params)

    def prepare(self, model: Model, seed: int) -> tuple[Dataset, Pipeline]:
        """Return the dataset of `model` and the preprocessing fitted to the training rows.

        Raises:
            DataError: `select` is incompatible with the data.
            ArtifactError: the autoencoder used by `select` is not trained.
        """
        if model.select not in self.pipelines:
            x, y = self.scaling(self.dataset.train.x), self.dataset.train.y
            encoder = (
                load_encoder(paths.model_dir(model.depends_on)) if isinstance(model.select, EncoderSelection) else ()
            )
            selection = fit_selection(
                x, y, self.dataset.schema, model.select, seed, self.scaling.feature_names, encoder
            )
            self.pipelines[model.select] = self.scaling.with_steps(
                *selection.steps, feature_names=selection.feature_names or None
            )
        return adapt_dataset(model, self.split_dataset.dataset_params, self.dataset, self.pipelines[model.select])


def build_folds(split_dataset: SplitDataset, k: int, seed: int) -> list[Fold]:
    """Return k folds of the training and validation rows."""
    return [Fold(split_dataset, indices) for indices in split_dataset.fold_indices(k, seed)]


def find_leakage(model: Model, k: int) -> Iterator[str]:
    """Yield why the scores of a model on held-out rows would be biased, if they would."""
    if k > 1 and isinstance(model.select, EncoderSelection):
        yield (
            f"select: the autoencoder {model.depends_on!r} was trained on rows that the folds hold out; set folds to"
            " 1, or choose another select"
        )
    if k > 1 and model.training.pretrained is not None:
        yield (
            "training.pretrained: the pretrained model may have been trained on rows that the folds hold out; set"
            " folds to 1, or remove it"
        )


def check_leakage(model_name: str, model: Model, k: int) -> None:
    """Raise a `ParamsError` if parts of a model were trained on rows that k folds hold out."""
    for problem in find_leakage(model, k):
        raise ParamsError(f"models.{model_name}.{problem}")


def require_source_model(model_name: str, model: Model) -> None:
    """Raise an `ArtifactError` if the dependency of a model is not trained."""
    source = model.source_model
    if source and not (paths.model_dir(source) / MANIFEST).exists():
        raise ArtifactError(
            f"models.{model_name}.depends_on: {source} must be trained before, but {paths.model_dir(source)} holds no"
            f" model; run `dvc repro train@{source}`"
        )


def validation_fraction(indices: SplitIndices) -> float:
    """Return the fraction of validation rows among training and validation rows."""
    return len(indices["validation"]) / (len(indices["validation"]) + len(indices["train"]))


def hold_out(keys: SplitKeys, rows: Indices, split_by: str, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Return `rows` split into training rows and held-out rows, which select the best epoch.

    split_by: `split.by` of the dataset. time: the latest rows are held out; rows with equal time stay together, and
    rows in between that share target steps with the held-out ones are dropped. group: complete groups. Otherwise
    stratified by class if there are classes, except for random.

    Raises:
        DataError: there are too few rows or groups.
    """
    try:
        if split_by == "time":
            train, held_out = _hold_out_latest(keys, rows, _hold_out_size(fraction, len(rows)))
        elif split_by == "group" and keys.groups is not None:
            train, held_out = _hold_out_groups(keys.groups[rows], rows, fraction, seed)
        else:
            size, labels = _hold_out_size(fraction, len(rows)), _stratify_labels(keys, rows, split_by)
            if labels is not None:
                size = max(size, len(np.unique(labels)))  # at least one row per class
            train, held_out = train_test_split(rows, test_size=size, random_state=seed, stratify=labels)
            train, held_out = np.sort(train), np.sort(held_out)
    except ValueError:  # the message of scikit-learn refers to its own arguments
        raise _too_few_rows_error(len(rows)) from None
    if not len(train) or not len(held_out):
        raise _too_few_rows_error(len(rows))
    return train, held_out


def _hold_out_size(fraction: float, n: int) -> int:
    return min(max(round(fraction * n), 1), n - 1)


def _stratify_labels(keys: SplitKeys, rows: Indices, split_by: str) -> np.ndarray | None:
    """Return the classes to stratify by; None if there are none, or one has a single row."""
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
        f"each fold must have rows or groups for training and for selecting the best epoch, but {n_rows} training rows"
        " are too few; add rows, or choose another number of folds"
    )
