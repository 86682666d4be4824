"""Check a dataset before training; the results are written to checks.json and the console."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import cross_val_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ..config.base import CheckLevel, CheckRule
from .dataset import Array, Dataset, Split
from .schema import CheckResult
from .sequence_checks import (
    OUTLIER_IQR_FACTOR,
    check_constant_steps,
    check_exogenous_leakage,
    check_step_outliers,
    constant_within_sequences,
)

IMBALANCE_RATIO = 10.0
"""Ratio of the most frequent to the rarest class above which a note becomes a warning."""

MIN_CLASS_ROWS = 20
"""Number of training rows of a class below which a classifier may never predict it."""

CV_FOLDS = 5
"""A class with fewer training rows cannot be in every fold of a cross-validation."""

MAX_LISTED = 5
"""Largest number of names listed in a message."""

LEAK_SCORE = 0.98
"""Balanced accuracy or R2 of a single feature from which it is reported as target leakage."""

ID_RANGE_RATIO = 1.05
"""Range of an integer column, relative to the number of rows, up to which it may be a row index; rows may have been
dropped."""

ID_UNIQUE_SHARE = 0.99
"""Share of distinct values from which an integer column may be a row index; rows may have been repeated."""

MAX_LEAF_NODES = 200
"""Largest number of categories that the leakage check distinguishes."""

SAMPLE_ROWS = 5_000
"""Number of training rows used by the slower checks."""

MAX_LEAK_CANDIDATES = 20
"""Largest number of features to which a tree is fitted, those first along which the target varies least."""

MAX_CATEGORIES = 1_000
"""Number of mostly unique categories from which they are an error, since each becomes a feature."""


BALANCE_RULES: tuple[CheckRule, ...] = ("class_balance", "small_class", "absent_class", "unseen_class")


def run_checks(
    dataset: Dataset, levels: Mapping[CheckRule, CheckLevel] = MappingProxyType({})
) -> Iterator[CheckResult]:
    """Yield the results of all checks; they use training rows, except for comparisons between splits.

    Args:
        levels: levels set in params.yaml by rule; a check whose rules are all off is not run.
    """
    kind = dataset.schema.kind
    # windows overlap, and a token may rarely be the next one
    independent_rows = dataset.schema.task not in ("forecasting", "language_modeling")
    has_target = dataset.schema.task != "unsupervised"
    has_steps = kind in ("sequences", "series")
    checks: list[tuple[Callable[[Dataset], Iterator[CheckResult]], bool, tuple[CheckRule, ...]]] = [
        (_check_duplicates, independent_rows, ("duplicates", "split_overlap")),
        (_check_balance, independent_rows and bool(dataset.schema.classes), BALANCE_RULES),
        (_check_missing, kind == "table", ("missing",)),
        (_check_identifiers, kind == "table", ("identifier",)),
        (_check_outliers, kind == "table", ("outliers",)),
        (check_step_outliers, has_steps, ("outliers",)),
        (_check_leakage, has_target and kind == "table", ("leakage",)),
        (_check_constant_column_leakage, has_target and kind == "sequences", ("leakage",)),
        (check_exogenous_leakage, kind == "series", ("leakage",)),
        (_check_constant, kind in ("table", "images"), ("constant",)),
        (check_constant_steps, has_steps, ("constant",)),
    ]
    for check, applies, rules in checks:
        if applies and any(levels.get(rule) != "off" for rule in rules):
            yield from check(dataset)


def _check_missing(dataset: Dataset) -> Iterator[CheckResult]:
    """Yield one result for each column that is mostly missing, and one for all other incomplete columns."""
    shares: dict[str, float] = {}
    start = 0
    for column in dataset.schema.columns:  # all parts of a date are missing at once
        shares[column.name] = float(np.isnan(dataset.train.x[:, start]).mean())
        start += len(column.features)
    for name, share in shares.items():
        if share > 0.5:
            yield CheckResult(rule="missing", level="warning", message=f"{share:.1%} of {name} is missing", column=name)
    incomplete = sorted((name for name, share in shares.items() if 0 < share <= 0.5), key=lambda name: -shares[name])
    if incomplete:
        listed = ", ".join(f"{shares[name]:.1%} of {name}" for name in incomplete[:MAX_LISTED])
        more = (
            f", and some values of {len(incomplete) - MAX_LISTED} more columns" if len(incomplete) > MAX_LISTED else ""
        )
        yield CheckResult(rule="missing", level="note", message=f"{listed}{more} is missing")


def _check_constant(dataset: Dataset) -> Iterator[CheckResult]:
    x = dataset.train.x
    same = (x == x[:1]).all(axis=0)
    if dataset.schema.kind == "table":
        for name in np.array(dataset.schema.features)[same]:
            text = f"{name} is constant; add it to `drop`"
            yield CheckResult(rule="constant", level="warning", message=text, column=str(name))
    elif same.any():
        yield CheckResult(rule="constant", level="note", message=f"{same.sum()} of {same.size} pixels are constant")


def _check_duplicates(dataset: Dataset) -> Iterator[CheckResult]:
    hashes = {name: hash_rows(split.x) for name, split in dataset.splits().items()}
    all_hashes = np.concatenate(list(hashes.values()))
    repeated = len(all_hashes) - _count_unique(all_hashes)
    if not repeated:
        return
    yield CheckResult(rule="duplicates", level="note", message=f"{repeated} rows repeat the features of an earlier row")
    for name in ("validation", "test"):
        shared = int(np.isin(hashes[name], hashes["train"]).sum())
        if shared:
            text = (
                f"{shared} of {len(hashes[name])} {name} rows have the features of a training row: scores are"
                " optimistically biased"
            )
            yield CheckResult(rule="split_overlap", level="warning", message=text)


def _count_unique(values: Array) -> int:
    """Return the number of distinct values; on random 64-bit integers `np.unique` takes twenty times as long."""
    ordered = np.sort(values)
    return int((ordered[1:] != ordered[:-1]).sum()) + bool(len(ordered))


def hash_rows(x: Array) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each row of x (n, ...): a polynomial in 64-bit words, in one pass."""
    rows = np.ascontiguousarray(x).reshape(len(x), -1).view(np.uint8)
    words = rows.shape[1] // 8
    factors = np.random.default_rng(0).integers(0, 2**63, words + 8, dtype=np.uint64) * 2 + 1
    full_words = rows[:, : words * 8]
    hashes = np.empty(len(rows), np.uint64)
    for i in range(0, len(rows), 4096):  # in chunks: the products are as large as the rows
        chunk = np.ascontiguousarray(full_words[i : i + 4096]).view(np.uint64)
        hashes[i : i + 4096] = _mix_bits(chunk) @ factors[:words] if words else 0
    for k, byte in enumerate(rows[:, words * 8 :].T):
        hashes += byte.astype(np.uint64) * factors[words + k]
    return hashes


def _mix_bits(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the high bits of each word into the low bits: words with low bits 0, as in round floats, would collide."""
    return words ^ (words >> np.uint64(32))


def _check_balance(dataset: Dataset) -> Iterator[CheckResult]:
    classes = np.array(dataset.schema.classes)
    counts = np.bincount(dataset.train.y, minlength=len(classes))
    for name in ("validation", "test"):
        absent = np.setdiff1d(np.arange(len(classes)), getattr(dataset, name).y)
        if len(absent):
            text = f"{name} rows have none of {_format_names(classes[absent])}: scores do not describe them"
            yield CheckResult(rule="absent_class", level="warning", message=text)
    absent = classes[counts == 0]
    if len(absent):
        text = f"{_format_names(absent)}: no training rows; change `split`, or remove the class"
        yield CheckResult(rule="unseen_class", level="error", message=text)
    small = classes[(counts > 0) & (counts < CV_FOLDS)]
    if len(small):
        text = f"{_format_names(small)}: fewer than {CV_FOLDS} training rows, not enough for {CV_FOLDS} folds"
        yield CheckResult(rule="small_class", level="warning", message=text)
    common, rare = counts.argmax(), np.where(counts, counts, counts.max() + 1).argmin()
    ratio = counts[common] / counts[rare]
    if ratio == 1:
        yield CheckResult(rule="class_balance", level="note", message=f"{counts[common]} training rows per class")
        return
    text = f"{counts[common]} training rows of {classes[common]}, {counts[rare]} of {classes[rare]}"
    severe = ratio > IMBALANCE_RATIO
    effect = (
        f"`training: {{class_balance: weighted_loss}}` increases the recall of {classes[rare]} and lowers its precision"
    )
    too_few = f"{classes[rare]} may never be predicted; " if counts[rare] < MIN_CLASS_ROWS else ""
    remedy = f"; {too_few}evaluate macro_f1 instead of accuracy; {effect}" if severe else ""
    yield CheckResult(rule="class_balance", level="warning" if severe else "note", message=f"{text}{remedy}")


def _check_identifiers(dataset: Dataset) -> Iterator[CheckResult]:
    """Yield categorical columns that are mostly unique, and integer columns that are a row index over all splits."""
    rows = len(dataset.train)
    start = 0
    for column in dataset.schema.columns:
        values = np.concatenate([split.x[:, start] for split in dataset.splits().values()])
        start += len(column.features)
        known = values[~np.isnan(values)]
        if column.type == "categorical":
            is_identifier = len(column.categories) > rows / 2
        else:
            is_integer = (
                column.type == "numeric" and len(known) == len(values) and bool((known == np.round(known)).all())
            )
            is_identifier = (
                is_integer
                and np.ptp(known) < ID_RANGE_RATIO * len(values)
                and _count_unique(known) >= ID_UNIQUE_SHARE * len(values)
            )
        if is_identifier and rows >= 2 * CV_FOLDS:
            is_text = column.type == "categorical"
            evidence = (
                f"{len(column.categories)} distinct values in {rows} training rows" if is_text else "equals a row index"
            )
            text = f"{column.name}: {evidence}; if it is an identifier, add it to `drop`"
            level: CheckLevel = "error" if len(column.categories) > MAX_CATEGORIES else "warning"
            yield CheckResult(rule="identifier", level=level, message=text, column=column.name)


def _check_outliers(dataset: Dataset) -> Iterator[CheckResult]:
    x = dataset.train.x
    types = [column.type for column in dataset.schema.columns for _ in column.features]
    for i, name in enumerate(dataset.schema.features):
        known = x[~np.isnan(x[:, i]), i]
        if types[i] != "numeric" or not len(known):
            continue
        lower, upper = np.quantile(known, [0.25, 0.75])
        reach = OUTLIER_IQR_FACTOR * (upper - lower)
        count = ((known < lower - reach) | (known > upper + reach)).sum()
        if reach and count:
            limit = f"{OUTLIER_IQR_FACTOR:.0f} IQR"
            text = f"{count} of {len(x)} values of {name} are outliers (> {limit}); `clip` limits them"
            yield CheckResult(rule="outliers", level="note", message=text, column=name)


def _check_leakage(dataset: Dataset) -> Iterator[CheckResult]:
    """Fit a small tree to each feature separately, on a sample of training rows, and score it by cross-validation."""
    sample = np.random.default_rng(0).permutation(len(dataset.train))[:SAMPLE_ROWS]
    x, y = dataset.train.x[sample], dataset.train.y[sample]
    classes = bool(dataset.schema.classes)
    if classes:
        present, counts = np.unique(y, return_counts=True)
        if len(present) < 2 or counts.min() < 3:
            selected = np.isin(y, present[counts >= 3])
            x, y = x[selected], y[selected]
        if len(np.unique(y)) < 2:
            return
    if len(y) < 30:
        return
    tree = (
        DecisionTreeClassifier(max_leaf_nodes=4 * len(dataset.schema.classes), class_weight="balanced", random_state=0)
        if classes
        else DecisionTreeRegressor(min_samples_leaf=2, random_state=0)
    )
    variations = [_target_variation(column, y, classes) for column in x.T]
    for i in np.sort(np.argsort(variations, kind="stable")[:MAX_LEAK_CANDIDATES]):
        name = dataset.schema.features[i]
        values = np.nan_to_num(x[:, i : i + 1], nan=-1.0)
        if classes:  # each category may determine a class
            tree.set_params(
                max_leaf_nodes=max(4 * len(dataset.schema.classes), min(len(np.unique(values)), MAX_LEAF_NODES))
            )
        score = cross_val_score(tree, values, y, cv=3, scoring="balanced_accuracy" if classes else "r2").mean()
        if score >= LEAK_SCORE:
            measure = "balanced accuracy" if classes else "R2"
            target = dataset.schema.target
            text = (
                f"{name} alone predicts {target} ({measure} {score:.3f}): is it known at prediction time? if not,"
                " add it to `drop`"
            )
            yield CheckResult(rule="leakage", level="warning", message=text, column=name)


def _check_constant_column_leakage(dataset: Dataset) -> Iterator[CheckResult]:
    """Check columns that are constant within each sequence in the same way as those of a table."""
    same = constant_within_sequences(dataset.train)
    names = tuple(np.array(dataset.schema.features)[same].tolist())
    if names:
        schema = dataset.schema.model_copy(update={"features": names})
        train = Split(dataset.train.x[:, 0, same], dataset.train.y, dataset.train.rows)
        yield from _check_leakage(Dataset(schema, train, dataset.validation, dataset.test))


def _target_variation(column: Array, y: Array, is_classification: bool) -> float:
    """Return the variation of the target in the order of a column (n,); small if the column determines the target."""
    steps = np.diff(y[np.argsort(column, kind="stable")])
    return float((steps != 0).sum() if is_classification else (steps.astype(np.float64) ** 2).sum())


def _format_names(names: Array) -> str:
    return ", ".join(map(str, names[:MAX_LISTED])) + (", ..." if len(names) > MAX_LISTED else "")
