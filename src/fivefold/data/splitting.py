"""Divide rows into training, validation and test rows, and training rows into folds."""

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
"""Share of the rows asked for by which a set may be larger or smaller without a word."""


def split_rows(keys: SplitKeys, params: SplitConfig, seed: int) -> SplitIndices:
    """Return the positions of the rows of each set, in the order of the source, or of time.

    Raises:
        DataError: there are too few rows, in all, of one class or of one group, for three sets.
    """
    n = len(keys.y)
    match params:
        case PredefinedSplit():
            parts = _split_predefined(keys, params, seed)
        case TimeSplit():
            parts = _split_by_time(keys, _count_rows(params.validation, n), _count_rows(params.test, n))
        case RandomSplit() | GroupSplit():
            parts = _split_randomly(keys, params, seed)
    require_enough_rows(keys, parts, stratified=params.by == "stratified")
    return parts


def check_split_sizes(keys: SplitKeys, params: SplitConfig, indices: SplitIndices) -> tuple[CheckResult, ...]:
    """Return what to say of a split in time whose sets are not as large as was asked for, since times repeat."""
    if not isinstance(params, TimeSplit) or keys.time is None:
        return ()
    n = len(keys.y)
    asked = {"validation": _count_rows(params.validation, n), "test": _count_rows(params.test, n)}
    if all(abs(len(indices[name]) - rows) <= SIZE_TOLERANCE * rows for name, rows in asked.items()):
        return ()
    each = " and ".join(
        f"{len(indices[name])} {name} rows ({len(indices[name]) / n:.1%}) instead of {rows} ({rows / n:.1%})"
        for name, rows in asked.items()
    )
    text = f"rows of one time stay together in the later set, which gives {each}"
    return (CheckResult(rule="split_sizes", level="note", message=text),)


def split_folds(
    keys: SplitKeys, indices: SplitIndices, by: str, k: int, seed: int
) -> Iterator[tuple[Indices, Indices]]:
    """Yield k pairs of training and validation positions; test rows are in none.

    by: the dataset's `split.by`. stratified keeps the share of each class; group keeps groups together; time trains on
    all that came before (expanding window), rows of one instant staying together in the later part; random draws, and
    so does column, by class where there are classes.

    Raises:
        DataError: there are too few rows, or groups, for k folds.
    """
    rows = np.concatenate([indices["train"], indices["validation"]])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a class that is too small for k folds the checks tell
            pairs = list(_choose_folds(keys, rows, by, k, seed))
    except ValueError:  # of scikit-learn, whose words are of its own names
        raise DataError(
            f"{k} folds must each get rows, but {_describe_available(keys, rows, by)} do not suffice; choose fewer folds, or"
            " bring more rows"
        ) from None
    ordered = (lambda index: rows[index]) if by == "time" else (lambda index: np.sort(rows[index]))
    yield from ((ordered(train), ordered(held)) for train, held in pairs)


def _describe_available(keys: SplitKeys, rows: Indices, by: str) -> str:
    """Return in words of what each fold must get a part."""
    if by == "group" and keys.groups is not None:
        return f"{len(np.unique(keys.groups[rows]))} groups"
    if by == "time" and keys.overlap:
        return f"{len(rows)} rows, of which {keys.overlap} are left out before each fold,"
    if keys.classes and by not in ("time", "random"):
        return f"{np.unique(keys.y[rows], return_counts=True)[1].max()} rows of the commonest class"
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
    """Yield k parts of rows in order of time, each with all that came before it.

    Raises:
        ValueError: there are too few rows.
        DataError: there are too many of one instant.
    """
    times = np.arange(len(rows)) if keys.time is None else keys.time[rows]
    for _, held in TimeSeriesSplit(k, gap=keys.overlap).split(rows):
        first, last = int(held[0]), int(held[-1])
        start = int(np.searchsorted(times, times[first]))
        end = len(rows) if last + 1 == len(rows) else int(np.searchsorted(times, times[last + 1]))
        if start <= keys.overlap or start == end:
            raise DataError(
                f"{k} folds must each get rows, and rows of one time stay together, but those of {times[first]} fill a"
                " whole part; choose fewer folds, or bring rows of more times"
            )
        yield np.arange(start - keys.overlap), np.arange(start, end)


def _count_rows(size: SplitSize, n: int) -> int:
    """Return a number of rows: a share is rounded up, as scikit-learn does it."""
    return size if isinstance(size, int) else int(np.ceil(size * n - 1e-9))  # 0.07 * 100 is a little above 7


def _split_by_time(keys: SplitKeys, validation: int, test: int) -> SplitIndices:
    n = len(keys.y)
    order = np.arange(n) if keys.time is None else np.argsort(keys.time, kind="stable")
    first, second = max(n - test - validation, 0), max(n - test, 0)
    if keys.time is not None:  # rows of one instant stay together, in the later set
        times = keys.time[order]
        first, second = (int(np.searchsorted(times, times[min(cut, n - 1)])) for cut in (first, second))
    return {
        "train": order[: max(first - keys.overlap, 0)],
        "validation": order[first : max(second - keys.overlap, 0)],
        "test": order[second:],
    }


def _split_predefined(keys: SplitKeys, params: PredefinedSplit, seed: int) -> SplitIndices:
    if keys.predefined is None:
        raise DataError("split by column needs a source that says which rows are test rows; split another way")
    parts = {name: np.flatnonzero(keys.predefined == name) for name in ("train", "validation", "test")}
    if not len(parts["validation"]):
        rows = parts["train"]
        size = _count_rows(params.validation, len(rows))
        classes, counts = np.unique(keys.y[rows], return_counts=True)
        labels = keys.y[rows] if keys.classes and counts.min() > 1 else None
        if labels is not None:
            size = max(size, len(classes))  # a row of each class
        _require_sizes(len(rows), {"validation": size}, 1 if labels is None else len(classes))
        train, validation = train_test_split(rows, test_size=size, random_state=seed, stratify=labels)
        parts |= {"train": np.sort(train), "validation": np.sort(validation)}
    return parts


def _split_randomly(keys: SplitKeys, params: RandomSplit | GroupSplit, seed: int) -> SplitIndices:
    everything = np.arange(len(keys.y))
    if params.by == "group":
        n = len(np.unique(keys.groups)) if keys.groups is not None else 0
        held, tested = _count_rows(params.validation, n), _count_rows(params.test, n)
        if held + tested >= n:
            raise DataError(
                f"three sets must each get a group, but column {params.column!r} holds {n}, of which validation takes"
                f" {held} and test {tested}; bring more groups, change `split`, or split another way"
            )
        rest, test = _split_groups(everything, keys, tested, seed)
        train, validation = _split_groups(rest, keys, held, seed)
    else:
        n = len(everything)
        held, tested = _count_rows(params.validation, n), _count_rows(params.test, n)
        labels = None
        if params.by == "stratified":
            labels = keys.y
            _require_class_counts(keys, everything, 3)
        _require_sizes(n, {"validation": held, "test": tested}, len(keys.classes) if params.by == "stratified" else 1)
        rest, test = train_test_split(everything, test_size=tested, random_state=seed, stratify=labels)
        if labels is not None:
            _require_class_counts(keys, rest, 2)
        train, validation = train_test_split(
            rest,
            test_size=held,
            random_state=seed,
            stratify=None if labels is None else labels[rest],
        )
    return {"train": np.sort(train), "validation": np.sort(validation), "test": np.sort(test)}


def _require_sizes(n: int, sizes: dict[str, int], min_size: int) -> None:
    """Refuse sets that take more rows than there are, or of which one gets fewer than `needed`."""
    sets = {**sizes, "train": n - sum(sizes.values())}
    if min(sets.values()) < min_size:
        each = " and ".join(f"{name} takes {rows}" for name, rows in sizes.items())
        why = "1 row or more" if min_size == 1 else f"{min_size} rows or more, one of each class"
        raise DataError(
            f"each set must get {why}, but of {n} rows {each}; bring more rows or change the shares under `split`"
        )


def _split_groups(rows: Indices, keys: SplitKeys, n_test: int, seed: int) -> tuple[Indices, Indices]:
    """Draw `test` groups of `rows`."""
    assert keys.groups is not None
    pairs = GroupShuffleSplit(1, test_size=n_test, random_state=seed).split(rows, groups=keys.groups[rows])
    rest, drawn = next(pairs)
    return rows[rest], rows[drawn]


def require_enough_rows(keys: SplitKeys, indices: SplitIndices, *, stratified: bool = False) -> None:
    """Refuse sets that are too small to learn from or to be scored, by a `DataError`."""
    # of one value there is no variance to explain
    needed = len(keys.classes) if stratified else 1 + (not keys.classes)
    smallest = min(indices, key=lambda name: len(indices[name]))
    if len(indices[smallest]) < needed:
        raise DataError(
            f"each set must get {needed} rows or more, but {smallest} gets {len(indices[smallest])} of {len(keys.y)}"
            " rows; bring more rows or change the shares under `split`"
        )
    if keys.classes:
        absent = np.setdiff1d(np.arange(len(keys.classes)), keys.y[indices["train"]])
        if len(absent) == len(keys.classes) - 1:
            raise DataError(
                f"training rows must be of two classes or more, but all are of"
                f" {keys.classes[int(keys.y[indices['train'][0]])]!r}; bring more rows, or split another way"
            )


def _require_class_counts(keys: SplitKeys, rows: Indices, min_count: int) -> None:
    """Refuse to stratify `rows` by a class of which there are fewer than `needed`."""
    counts = np.bincount(keys.y[rows].astype(np.int64), minlength=len(keys.classes))
    rarest = int(counts.argmin())
    if counts[rarest] < min_count:
        left = "" if len(rows) == len(keys.y) else " beside test rows"
        raise DataError(
            f"a stratified split needs {min_count} rows or more of each class{left}, but class {keys.classes[rarest]!r}"
            f" has {counts[rarest]}; remove the class, bring more rows, or split `by: random`"
        )
