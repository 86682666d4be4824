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
from .config.datasets import Dataset as DatasetParams
from .config.models import Model
from .config.selection import Encoded, Selection
from .data.dataset import Dataset, Keys, Parts, Raw
from .data.prepare import read
from .data.schema import graded
from .data.splitting import Index, folds, split
from .data.storage import MANIFEST
from .errors import ArtifactError, DataError, ParamsError
from .preprocessing.pipeline import Chain
from .preprocessing.scaling import fit_scaling
from .preprocessing.selection import encoder_of, fit_selection
from .training.supervised import rows_of

NOTHING: NDArray[np.int64] = np.array([], np.int64)


@dataclass(frozen=True)
class Rows:
    """A source that was read, and its rows divided as the pipeline divides them.

    block: of the dataset. seed: of the division.
    """

    block: DatasetParams
    raw: Raw
    parts: Parts
    seed: int

    @classmethod
    def read(cls, block: DatasetParams, seed: int) -> "Rows":
        """Read a dataset.

        Raises:
            DataError: its source breaks a rule, or holds what `prepare` would stop at.
        """
        try:
            raw = read(block)
            parts = split(raw.keys, block.split, seed)
            graded([*raw.findings, *raw.encode(parts).findings], block.checks)
        except DataError as error:
            raise error.of(block.source) from None
        return cls(block, raw, parts, seed)

    def folds(self, k: int, seed: int) -> list[Parts]:
        """Return k divisions of the training and validation rows; the validation rows of each are held out.

        k: 1 is the division of the pipeline itself.

        Raises:
            DataError: there are too few rows for k folds.
        """
        if k == 1:
            return [{**self.parts, "test": NOTHING}]
        pairs = folds(self.raw.keys, self.parts, self.block.split.by, k, seed)
        return [{"train": train, "validation": held, "test": NOTHING} for train, held in pairs]

    @cached_property
    def digest(self) -> str:
        """A hash of the rows that a study sees: those of its first fold, as they are encoded."""
        dataset = self.raw.encode({**self.parts, "test": NOTHING})
        total = hashlib.sha256()
        for records in (dataset.train, dataset.validation):
            for array in (records.x, records.y, records.rows):
                total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()[:16]


class Fold:
    """Rows to learn and rows held out, with what is learnt from the former alone.

    Fitted selections are kept: trials often share them.
    """

    def __init__(self, rows: Rows, parts: Parts) -> None:
        self.rows, self.parts = rows, parts
        self.chains: dict[Selection, Chain] = {}

    @cached_property
    def dataset(self) -> Dataset:
        """The rows, encoded by what training rows tell."""
        return self.rows.raw.encode(self.parts)

    @cached_property
    def scaling(self) -> Chain:
        """The scaling that training rows tell."""
        return fit_scaling(self.dataset.train.x, self.dataset.schema, self.rows.block)

    def prepared(self, model: Model, seed: int) -> tuple[Dataset, Chain]:
        """Return the rows as `model` learns them, and the preprocessing fitted to its training rows.

        Raises:
            DataError: `select` asks for what these rows have not.
            ArtifactError: the autoencoder whose codes `select` takes was not trained.
        """
        if model.select not in self.chains:
            x, y = self.scaling(self.dataset.train.x), self.dataset.train.y
            encoder = encoder_of(paths.model(model.uses)) if isinstance(model.select, Encoded) else ()
            found = fit_selection(x, y, self.dataset.schema, model.select, seed, self.scaling.names, encoder)
            self.chains[model.select] = self.scaling.then(*found.steps, names=found.names or None)
        return rows_of(model, self.rows.block, self.dataset, self.chains[model.select])


def folds_of(rows: Rows, k: int, seed: int) -> list[Fold]:
    """Return k folds of the training and validation rows."""
    return [Fold(rows, parts) for parts in rows.folds(k, seed)]


def conflicts_of_folds(model: Model, k: int) -> Iterator[str]:
    """Yield why a model cannot be judged by rows held out, if it cannot."""
    if k > 1 and isinstance(model.select, Encoded):
        yield (
            f"select: the autoencoder {model.uses!r} has learnt rows that folds hold out; set folds to 1, or choose"
            " another select"
        )
    start = model.training.start
    if k > 1 and start is not None:
        yield (
            "training.start: the model that it begins with may have learnt rows that folds hold out; set folds to 1,"
            " or leave it out"
        )


def refuse_leaks(name: str, model: Model, k: int) -> None:
    """Refuse to hold rows out from a model that has learnt them already, by a `ParamsError`."""
    for problem in conflicts_of_folds(model, k):
        raise ParamsError(f"models.{name}.{problem}")


def need_lender(name: str, model: Model) -> None:
    """Refuse to go on without the model that `uses` names, by an `ArtifactError`."""
    if model.lender and not (paths.model(model.lender) / MANIFEST).exists():
        raise ArtifactError(
            f"models.{name}.uses: {model.lender} must be trained before, but {paths.model(model.lender)} holds no"
            f" model; run `dvc repro train@{model.lender}`"
        )


def share_of(parts: Parts) -> float:
    """Return the share of validation rows in what a dataset leaves beside test rows."""
    return len(parts["validation"]) / (len(parts["validation"]) + len(parts["train"]))


def set_aside(keys: Keys, rows: Index, by: str, share: float, seed: int) -> tuple[Index, Index]:
    """Return the `rows` to learn and those set aside.

    by: the dataset's `split.by`. time: the latest rows, of which rows of one instant stay together, behind as many
    rows left out as share a target with them; group: whole groups; otherwise by class where there are classes, and
    random without looking.

    Raises:
        DataError: there are too few rows or groups.
    """
    try:
        if by == "time":
            train, aside = _latest(keys, rows, _part(share, len(rows)))
        elif by == "group" and keys.groups is not None:
            train, aside = _groups(keys.groups[rows], rows, share, seed)
        else:
            size, labels = _part(share, len(rows)), _labels(keys, rows, by)
            if labels is not None:
                size = max(size, len(np.unique(labels)))  # a row of each class
            train, aside = train_test_split(rows, test_size=size, random_state=seed, stratify=labels)
            train, aside = np.sort(train), np.sort(aside)
    except ValueError:  # of scikit-learn, whose words are of its own names
        raise _few(len(rows)) from None
    if not len(train) or not len(aside):
        raise _few(len(rows))
    return train, aside


def _part(share: float, n: int) -> int:
    return min(max(round(share * n), 1), n - 1)


def _labels(keys: Keys, rows: Index, by: str) -> np.ndarray | None:
    """Return the classes to draw by; None if there are none, or one is too rare."""
    if not keys.classes or by == "random":
        return None
    _, counts = np.unique(keys.y[rows], return_counts=True)
    return np.asarray(keys.y[rows]) if counts.min() > 1 else None


def _latest(keys: Keys, rows: Index, size: int) -> tuple[Index, Index]:
    cut = len(rows) - size
    if keys.time is not None:
        times = keys.time[rows]
        cut = int(np.searchsorted(times, times[cut]))
    return rows[: max(cut - keys.overlap, 0)], rows[cut:]


def _groups(groups: np.ndarray, rows: Index, share: float, seed: int) -> tuple[Index, Index]:
    size = _part(share, len(np.unique(groups)))
    rest, drawn = next(GroupShuffleSplit(1, test_size=size, random_state=seed).split(rows, groups=groups))
    return rows[rest], rows[drawn]


def _few(n: int) -> DataError:
    return DataError(
        f"each fold must leave rows, or groups, to learn and others to choose the epoch by, but {n} training rows do"
        " not suffice; bring more rows, or choose another number of folds"
    )
