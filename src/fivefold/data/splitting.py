"""Split rows into training, validation and test rows, and training rows into cross-validation folds."""

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    StratifiedKFold,
    TimeSeriesSplit,
    train_test_split,
)

from ..config.splits import GroupSplit, PredefinedSplit, RandomSplit, SplitConfig, SplitSize, TimeSplit
from ..errors import DataError
from .dataset import SplitIndices, SplitKeys
from .schema import CheckResult

Indices = NDArray[np.int64]

SIZE_TOLERANCE = 0.1
"""Relative deviation from the configured number of rows from which a split size is reported."""


def split_rows(keys: SplitKeys, params: SplitConfig, seed: int) -> SplitIndices:
    """Return the row positions of each split, in the order of the source, or of time.

    Raises:
        DataError: there are too few rows, in total, of one class or of one group, for three splits.
    """
    n = len(keys.y)
    match params:
        case PredefinedSplit():
            indices = _split_predefined(keys, params, seed)
        case TimeSplit():
            indices = _split_by_time(keys, _count_rows(params.validation, n), _count_rows(params.test, n))
        case RandomSplit() | GroupSplit():
            indices = _split_randomly(keys, params, seed)
    require_enough_rows(keys, indices, stratified=params.by == "stratified")
    return indices


def check_split_sizes(keys: SplitKeys, params: SplitConfig, indices: SplitIndices) -> tuple[CheckResult, ...]:
    """Return a note if tied times change the split sizes of a split in time from the configured ones."""
    if not isinstance(params, TimeSplit) or keys.time is None:
        return ()
    n = len(keys.y)
    configured = {"validation": _count_rows(params.validation, n), "test": _count_rows(params.test, n)}
    if all(abs(len(indices[name]) - rows) <= SIZE_TOLERANCE * rows for name, rows in configured.items()):
        return ()
    sizes = " and ".join(
        f"{len(indices[name])} {name} rows ({len(indices[name]) / n:.1%}) instead of {rows} ({rows / n:.1%})"
        for name, rows in configured.items()
    )
    text = f"rows with equal times stay together in the later split, which results in {sizes}"
    return (CheckResult(rule="split_sizes", level="note", message=text),)


def split_folds(
    keys: SplitKeys, indices: SplitIndices, by: str, k: int, seed: int
) -> Iterator[tuple[Indices, Indices]]:
    """Yield k pairs of training and validation row positions; test rows are in none of them.

    Args:
        by: `split.by` of the dataset. stratified preserves class proportions; group keeps groups together; time trains
            on all earlier rows (expanding window) and keeps rows with equal times together in the later fold; random
            draws rows, and so does predefined, stratified by class if there are classes.

    Raises:
        DataError: there are too few rows, or groups, for k folds.
    """
    rows = np.concatenate([indices["train"], indices["validation"]])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # checks report classes with fewer rows than folds
            pairs = list(_choose_folds(keys, rows, by, k, seed))
    except ValueError:  # from scikit-learn, whose message does not mention keys of params.yaml
        raise DataError(
            f"each of {k} folds needs rows, but {_describe_available(keys, rows, by)} are not enough; use fewer folds,"
            " or add rows"
        ) from None
    order = (lambda index: rows[index]) if by == "time" else (lambda index: np.sort(rows[index]))
    yield from ((order(train), order(validation)) for train, validation in pairs)


def _describe_available(keys: SplitKeys, rows: Indices, by: str) -> str:
    """Return a description of the units that are distributed over folds, for an error message."""
    if by == "group" and keys.groups is not None:
        return f"{len(np.unique(keys.groups[rows]))} groups"
    if by == "time" and keys.overlap:
        return f"{len(rows)} rows, of which {keys.overlap} are left out before each fold,"
    if keys.classes and by not in ("time", "random"):
        return f"{np.unique(keys.y[rows], return_counts=True)[1].max()} rows of the most frequent class"
    return f"{len(rows)} rows"


def _choose_folds(keys: SplitKeys, rows: Indices, by: str, k: int, seed: int) -> Iterator[tuple[Indices, Indices]]:
    pairs: Iterator[tuple[Indices, Indices]]
    if by == "time":
        pairs = _expanding_window_folds(keys, rows, k)
    elif by == "group" and keys.groups is not None:
        pairs = GroupKFold(k, shuffle=True, random_state=seed).split(rows, groups=keys.groups[rows])
    elif keys.classes and by != "random":
        pairs = StratifiedKFold(k, shuffle=True, random_state=seed).split(rows, keys.y[rows])
    else:
        pairs = KFold(k, shuffle=True, random_state=seed).split(rows)
    return pairs


def _expanding_window_folds(keys: SplitKeys, rows: Indices, k: int) -> Iterator[tuple[Indices, Indices]]:
    """Yield k consecutive folds in order of time, each with all earlier rows for training.

    Raises:
        ValueError: there are too few rows.
        DataError: too many rows have the same time.
    """
    times = np.arange(len(rows)) if keys.time is None else keys.time[rows]
    for _, validation in TimeSeriesSplit(k, gap=keys.overlap).split(rows):
        first, last = int(validation[0]), int(validation[-1])
        start = int(np.searchsorted(times, times[first]))
        end = len(rows) if last + 1 == len(rows) else int(np.searchsorted(times, times[last + 1]))
        if start <= keys.overlap or start == end:
            raise DataError(
                f"each of {k} folds needs rows, and rows with equal times stay together, but those of {times[first]}"
                " fill a whole fold; use fewer folds, or add rows with more distinct times"
            )
        yield np.arange(start - keys.overlap), np.arange(start, end)


def _count_rows(size: SplitSize, n: int) -> int:
    """Return the number of rows of a split; a fraction is rounded up, as in scikit-learn."""
    return size if isinstance(size, int) else int(np.ceil(size * n - 1e-9))  # 0.07 * 100 is a little above 7


def _split_by_time(keys: SplitKeys, validation: int, test: int) -> SplitIndices:
    n = len(keys.y)
    order = np.arange(n) if keys.time is None else np.argsort(keys.time, kind="stable")
    first, second = max(n - test - validation, 0), max(n - test, 0)
    if keys.time is not None:  # rows with equal times stay together in the later split
        times = keys.time[order]
        first, second = (int(np.searchsorted(times, times[min(cut, n - 1)])) for cut in (first, second))
    return {
        "train": order[: max(first - keys.overlap, 0)],
        "validation": order[first : max(second - keys.overlap, 0)],
        "test": order[second:],
    }


def _split_predefined(keys: SplitKeys, params: PredefinedSplit, seed: int) -> SplitIndices:
    if keys.predefined is None:
        raise DataError(
            "`split.by: predefined` needs a source that assigns rows to splits, but this one does not; use another"
            " `split.by`"
        )
    indices = {name: np.flatnonzero(keys.predefined == name) for name in ("train", "validation", "test")}
    if not len(indices["validation"]):
        rows = indices["train"]
        size = _count_rows(params.validation, len(rows))
        classes, counts = np.unique(keys.y[rows], return_counts=True)
        labels = keys.y[rows] if keys.classes and counts.min() > 1 else None
        if labels is not None:
            size = max(size, len(classes))  # a row of each class
        _require_sizes(len(rows), {"validation": size}, 1 if labels is None else len(classes))
        train, validation = train_test_split(rows, test_size=size, random_state=seed, stratify=labels)
        indices |= {"train": np.sort(train), "validation": np.sort(validation)}
    return indices


def _split_randomly(keys: SplitKeys, params: RandomSplit | GroupSplit, seed: int) -> SplitIndices:
    all_rows = np.arange(len(keys.y))
    if params.by == "group":
        n = len(np.unique(keys.groups)) if keys.groups is not None else 0
        n_validation, n_test = _count_rows(params.validation, n), _count_rows(params.test, n)
        if n_validation + n_test >= n:
            raise DataError(
                f"each of three splits needs a group, but column {params.column!r} has {n} groups, of which validation"
                f" gets {n_validation} and test {n_test}; add groups, or change `split`"
            )
        rest, test = _split_groups(all_rows, keys, n_test, seed)
        train, validation = _split_groups(rest, keys, n_validation, seed)
    else:
        n = len(all_rows)
        n_validation, n_test = _count_rows(params.validation, n), _count_rows(params.test, n)
        labels = None
        if params.by == "stratified":
            labels = keys.y
            _require_class_counts(keys, all_rows, 3)
        sizes = {"validation": n_validation, "test": n_test}
        _require_sizes(n, sizes, len(keys.classes) if params.by == "stratified" else 1)
        rest, test = train_test_split(all_rows, test_size=n_test, random_state=seed, stratify=labels)
        if labels is not None:
            _require_class_counts(keys, rest, 2)
        train, validation = train_test_split(
            rest,
            test_size=n_validation,
            random_state=seed,
            stratify=None if labels is None else labels[rest],
        )
    return {"train": np.sort(train), "validation": np.sort(validation), "test": np.sort(test)}


def _require_sizes(n: int, sizes: dict[str, int], min_size: int) -> None:
    """Raise a `DataError` if there are too few rows, or a split would have fewer than `min_size`."""
    all_sizes = {**sizes, "train": n - sum(sizes.values())}
    if min(all_sizes.values()) < min_size:
        configured = " and ".join(f"{rows} go to {name}" for name, rows in sizes.items())
        rule = "1 row" if min_size == 1 else f"{min_size} rows, one per class"
        raise DataError(
            f"each split needs at least {rule}, but of {n} rows {configured}; add rows or change the sizes under"
            " `split`"
        )


def _split_groups(rows: Indices, keys: SplitKeys, n_test: int, seed: int) -> tuple[Indices, Indices]:
    """Return the rows outside and inside `n_test` randomly drawn groups."""
    assert keys.groups is not None
    pairs = GroupShuffleSplit(1, test_size=n_test, random_state=seed).split(rows, groups=keys.groups[rows])
    rest, drawn = next(pairs)
    return rows[rest], rows[drawn]


def require_enough_rows(keys: SplitKeys, indices: SplitIndices, *, stratified: bool = False) -> None:
    """Raise a `DataError` if a split is too small for training or evaluation."""
    # R2 is undefined for one row
    needed = len(keys.classes) if stratified else 1 + (not keys.classes)
    smallest = min(indices, key=lambda name: len(indices[name]))
    if len(indices[smallest]) < needed:
        raise DataError(
            f"each split needs at least {needed} row{'s' * (needed > 1)}, but {smallest} has"
            f" {len(indices[smallest])} of {len(keys.y)}; add rows or change the sizes under `split`"
        )
    if keys.classes:
        absent = np.setdiff1d(np.arange(len(keys.classes)), keys.y[indices["train"]])
        if len(absent) == len(keys.classes) - 1:
            raise DataError(
                f"training rows must belong to at least 2 classes, but all belong to"
                f" {keys.classes[int(keys.y[indices['train'][0]])]!r}; add rows, or change `split`"
            )


def _require_class_counts(keys: SplitKeys, rows: Indices, min_count: int) -> None:
    """Raise a `DataError` if a class has fewer than `min_count` of the rows to stratify."""
    counts = np.bincount(keys.y[rows].astype(np.int64), minlength=len(keys.classes))
    rarest = int(counts.argmin())
    if counts[rarest] < min_count:
        scope = "" if len(rows) == len(keys.y) else " outside the test split"
        raise DataError(
            f"a stratified split needs at least {min_count} rows of each class{scope}, but class"
            f" {keys.classes[rarest]!r} has {counts[rarest]}; remove the class, add rows, or set `split.by: random`"
        )
