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

from ..config.splits import GivenSplit, GroupSplit, Part, RowSplit, Split, TimeSplit
from ..errors import DataError
from .dataset import Keys, Parts
from .schema import Finding

Index = NDArray[np.int64]

FAR_OFF = 0.1
"""Share of the rows asked for by which a set may be larger or smaller without a word."""


def split(keys: Keys, params: Split, seed: int) -> Parts:
    """Return the positions of the rows of each set, in the order of the source, or of time.

    Raises:
        DataError: there are too few rows, in all, of one class or of one group, for three sets.
    """
    n = len(keys.y)
    match params:
        case GivenSplit():
            parts = _given(keys, params, seed)
        case TimeSplit():
            parts = _by_time(keys, _rows(params.validation, n), _rows(params.test, n))
        case RowSplit() | GroupSplit():
            parts = _drawn(keys, params, seed)
    suffice(keys, parts, stratified=params.by == "stratified")
    return parts


def shares(keys: Keys, params: Split, parts: Parts) -> tuple[Finding, ...]:
    """Return what to say of a split in time whose sets are not as large as was asked for, since times repeat."""
    if not isinstance(params, TimeSplit) or keys.time is None:
        return ()
    n = len(keys.y)
    asked = {"validation": _rows(params.validation, n), "test": _rows(params.test, n)}
    if all(abs(len(parts[name]) - rows) <= FAR_OFF * rows for name, rows in asked.items()):
        return ()
    each = " and ".join(
        f"{len(parts[name])} {name} rows ({len(parts[name]) / n:.1%}) instead of {rows} ({rows / n:.1%})"
        for name, rows in asked.items()
    )
    text = f"rows of one time stay together in the later set, which gives {each}"
    return (Finding(rule="split_shares", level="note", text=text),)


def folds(keys: Keys, parts: Parts, by: str, k: int, seed: int) -> Iterator[tuple[Index, Index]]:
    """Yield k pairs of training and validation positions; test rows are in none.

    by: the dataset's `split.by`. stratified keeps the share of each class; group keeps groups together; time trains on
    all that came before (expanding window), rows of one instant staying together in the later part; random draws, and
    so does column, by class where there are classes.

    Raises:
        DataError: there are too few rows, or groups, for k folds.
    """
    rows = np.concatenate([parts["train"], parts["validation"]])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a class that is too small for k folds the checks tell
            pairs = list(_folds(keys, rows, by, k, seed))
    except ValueError:  # of scikit-learn, whose words are of its own names
        raise DataError(
            f"{k} folds must each get rows, but {_what_there_is(keys, rows, by)} do not suffice; choose fewer folds, or"
            " bring more rows"
        ) from None
    ordered = (lambda index: rows[index]) if by == "time" else (lambda index: np.sort(rows[index]))
    yield from ((ordered(train), ordered(held)) for train, held in pairs)


def _what_there_is(keys: Keys, rows: Index, by: str) -> str:
    """Return in words of what each fold must get a part."""
    if by == "group" and keys.groups is not None:
        return f"{len(np.unique(keys.groups[rows]))} groups"
    if by == "time" and keys.overlap:
        return f"{len(rows)} rows, of which {keys.overlap} are left out before each fold,"
    if keys.classes and by not in ("time", "random"):
        return f"{np.unique(keys.y[rows], return_counts=True)[1].max()} rows of the commonest class"
    return f"{len(rows)} rows"


def _folds(keys: Keys, rows: Index, by: str, k: int, seed: int) -> Iterator[tuple[Index, Index]]:
    pairs: Iterator[tuple[Index, Index]]
    if by == "time":
        pairs = _expanding(keys, rows, k)
    elif by == "group" and keys.groups is not None:
        pairs = GroupKFold(k, shuffle=True, random_state=seed).split(rows, groups=keys.groups[rows])
    elif keys.classes and by != "random":
        pairs = StratifiedKFold(k, shuffle=True, random_state=seed).split(rows, keys.y[rows])
    else:
        pairs = KFold(k, shuffle=True, random_state=seed).split(rows)
    return pairs


def _expanding(keys: Keys, rows: Index, k: int) -> Iterator[tuple[Index, Index]]:
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


def _rows(part: Part, n: int) -> int:
    """Return a number of rows: a share is rounded up, as scikit-learn does it."""
    return part if isinstance(part, int) else int(np.ceil(part * n - 1e-9))  # 0.07 * 100 is a little above 7


def _by_time(keys: Keys, validation: int, test: int) -> Parts:
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


def _given(keys: Keys, params: GivenSplit, seed: int) -> Parts:
    if keys.given is None:
        raise DataError("split by column needs a source that says which rows are test rows; split another way")
    parts = {name: np.flatnonzero(keys.given == name) for name in ("train", "validation", "test")}
    if not len(parts["validation"]):
        rows = parts["train"]
        size = _rows(params.validation, len(rows))
        classes, counts = np.unique(keys.y[rows], return_counts=True)
        labels = keys.y[rows] if keys.classes and counts.min() > 1 else None
        if labels is not None:
            size = max(size, len(classes))  # a row of each class
        _fits(len(rows), {"validation": size}, 1 if labels is None else len(classes))
        train, validation = train_test_split(rows, test_size=size, random_state=seed, stratify=labels)
        parts |= {"train": np.sort(train), "validation": np.sort(validation)}
    return parts


def _drawn(keys: Keys, params: RowSplit | GroupSplit, seed: int) -> Parts:
    everything = np.arange(len(keys.y))
    if params.by == "group":
        n = len(np.unique(keys.groups)) if keys.groups is not None else 0
        held, tested = _rows(params.validation, n), _rows(params.test, n)
        if held + tested >= n:
            raise DataError(
                f"three sets must each get a group, but column {params.column!r} holds {n}, of which validation takes"
                f" {held} and test {tested}; bring more groups, change `split`, or split another way"
            )
        rest, test = _groups(everything, keys, tested, seed)
        train, validation = _groups(rest, keys, held, seed)
    else:
        n = len(everything)
        held, tested = _rows(params.validation, n), _rows(params.test, n)
        labels = None
        if params.by == "stratified":
            labels = keys.y
            _no_rare_class(keys, everything, 3)
        _fits(n, {"validation": held, "test": tested}, len(keys.classes) if params.by == "stratified" else 1)
        rest, test = train_test_split(everything, test_size=tested, random_state=seed, stratify=labels)
        if labels is not None:
            _no_rare_class(keys, rest, 2)
        train, validation = train_test_split(
            rest,
            test_size=held,
            random_state=seed,
            stratify=None if labels is None else labels[rest],
        )
    return {"train": np.sort(train), "validation": np.sort(validation), "test": np.sort(test)}


def _fits(n: int, takes: dict[str, int], needed: int) -> None:
    """Refuse sets that take more rows than there are, or of which one gets fewer than `needed`."""
    sets = {**takes, "train": n - sum(takes.values())}
    if min(sets.values()) < needed:
        each = " and ".join(f"{name} takes {rows}" for name, rows in takes.items())
        why = "1 row or more" if needed == 1 else f"{needed} rows or more, one of each class"
        raise DataError(
            f"each set must get {why}, but of {n} rows {each}; bring more rows or change the shares under `split`"
        )


def _groups(rows: Index, keys: Keys, test: int, seed: int) -> tuple[Index, Index]:
    """Draw `test` groups of `rows`."""
    assert keys.groups is not None
    pairs = GroupShuffleSplit(1, test_size=test, random_state=seed).split(rows, groups=keys.groups[rows])
    rest, drawn = next(pairs)
    return rows[rest], rows[drawn]


def suffice(keys: Keys, parts: Parts, *, stratified: bool = False) -> None:
    """Refuse sets that are too small to learn from or to be scored, by a `DataError`."""
    # of one value there is no variance to explain
    needed = len(keys.classes) if stratified else 1 + (not keys.classes)
    smallest = min(parts, key=lambda name: len(parts[name]))
    if len(parts[smallest]) < needed:
        raise DataError(
            f"each set must get {needed} rows or more, but {smallest} gets {len(parts[smallest])} of {len(keys.y)}"
            " rows; bring more rows or change the shares under `split`"
        )
    if keys.classes:
        absent = np.setdiff1d(np.arange(len(keys.classes)), keys.y[parts["train"]])
        if len(absent) == len(keys.classes) - 1:
            raise DataError(
                f"training rows must be of two classes or more, but all are of"
                f" {keys.classes[int(keys.y[parts['train'][0]])]!r}; bring more rows, or split another way"
            )


def _no_rare_class(keys: Keys, rows: Index, needed: int) -> None:
    """Refuse to stratify `rows` by a class of which there are fewer than `needed`."""
    counts = np.bincount(keys.y[rows].astype(np.int64), minlength=len(keys.classes))
    rarest = int(counts.argmin())
    if counts[rarest] < needed:
        left = "" if len(rows) == len(keys.y) else " beside test rows"
        raise DataError(
            f"a stratified split needs {needed} rows or more of each class{left}, but class {keys.classes[rarest]!r}"
            f" has {counts[rarest]}; remove the class, bring more rows, or split `by: random`"
        )
