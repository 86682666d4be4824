"""Set a part of training rows aside, by which the epoch is chosen, as the dataset sets its validation rows aside."""

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from ..data.dataset import Keys, Parts
from ..data.splitting import Index
from ..errors import DataError


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
