"""Look at a dataset before anything is trained on it; what is found goes into checks.json and onto the screen."""

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
"""Rows of the most common class per row of the rarest above which a note becomes a warning."""

MIN_CLASS_ROWS = 20
"""Training rows of a rare class below which a classifier may never predict it."""

CV_FOLDS = 5
"""A class of fewer training rows cannot be in every fold of a cross-validation."""

MAX_LISTED = 5
"""Names that a text lists at most."""

LEAK_SCORE = 0.98
"""Balanced accuracy or R2 of one feature alone from which it is taken for the target in disguise."""

ID_RANGE_RATIO = 1.05
"""Whole numbers per row up to which they count the rows, of which some may have been dropped."""

ID_UNIQUE_SHARE = 0.99
"""Share of different numbers from which they count the rows, of which some may have been repeated."""

MAX_LEAF_NODES = 200
"""Values of a category at most that the check for leaks tells apart."""

SAMPLE_ROWS = 5_000
"""Training rows that the slower checks look at."""

MAX_LEAK_CANDIDATES = 20
"""Features at most to which a tree is fitted, those first along which the target changes least."""

MAX_CATEGORIES = 1_000
"""Categories that hardly repeat from which they are an error: each would become a feature."""


BALANCE_RULES: tuple[CheckRule, ...] = ("class_balance", "small_class", "absent_class", "unseen_class")


def run_checks(
    dataset: Dataset, levels: Mapping[CheckRule, CheckLevel] = MappingProxyType({})
) -> Iterator[CheckResult]:
    """Yield what is worth knowing; training rows decide, but for rows shared between sets.

    levels: of rules, where params.yaml says one; what is only for rules that are off is not looked for.
    """
    kind = dataset.schema.kind
    alone = dataset.schema.task not in (
        "forecasting",
        "language_modeling",
    )  # windows overlap, and a next token may be rare
    told = dataset.schema.task != "unsupervised"
    steps = kind in ("sequences", "series")
    looks: list[tuple[Callable[[Dataset], Iterator[CheckResult]], bool, tuple[CheckRule, ...]]] = [
        (_check_duplicates, alone, ("duplicates", "split_overlap")),
        (_check_balance, alone and bool(dataset.schema.classes), BALANCE_RULES),
        (_check_missing, kind == "table", ("missing",)),
        (_check_identifiers, kind == "table", ("identifier",)),
        (_check_outliers, kind == "table", ("outliers",)),
        (check_step_outliers, steps, ("outliers",)),
        (_check_leakage, told and kind == "table", ("leakage",)),
        (_check_constant_column_leakage, told and kind == "sequences", ("leakage",)),
        (check_exogenous_leakage, kind == "series", ("leakage",)),
        (_check_constant, kind in ("table", "images"), ("constant",)),
        (check_constant_steps, steps, ("constant",)),
    ]
    for look, applies, rules in looks:
        if applies and any(levels.get(rule) != "off" for rule in rules):
            yield from look(dataset)


def _check_missing(dataset: Dataset) -> Iterator[CheckResult]:
    """Tell of columns that are mostly missing one by one, of the others together."""
    shares: dict[str, float] = {}
    place = 0
    for column in dataset.schema.columns:  # the parts of a date are missing together
        shares[column.name] = float(np.isnan(dataset.train.x[:, place]).mean())
        place += len(column.features)
    for name, share in shares.items():
        if share > 0.5:
            yield CheckResult(rule="missing", level="warning", message=f"{share:.1%} of {name} is missing", column=name)
    some = sorted((name for name, share in shares.items() if 0 < share <= 0.5), key=lambda name: -shares[name])
    if some:
        listed = ", ".join(f"{shares[name]:.1%} of {name}" for name in some[:MAX_LISTED])
        more = f", and some of {len(some) - MAX_LISTED} more columns" if len(some) > MAX_LISTED else ""
        yield CheckResult(rule="missing", level="note", message=f"{listed}{more} is missing")


def _check_constant(dataset: Dataset) -> Iterator[CheckResult]:
    x = dataset.train.x
    same = (x == x[:1]).all(axis=0)
    if dataset.schema.kind == "table":
        for name in np.array(dataset.schema.features)[same]:
            text = f"{name} never changes; name it under `drop`"
            yield CheckResult(rule="constant", level="warning", message=text, column=str(name))
    elif same.any():
        yield CheckResult(rule="constant", level="note", message=f"{same.sum()} of {same.size} pixels never change")


def _check_duplicates(dataset: Dataset) -> Iterator[CheckResult]:
    prints = {name: hash_rows(records.x) for name, records in dataset.splits().items()}
    everything = np.concatenate(list(prints.values()))
    repeated = len(everything) - _count_unique(everything)
    if not repeated:
        return
    yield CheckResult(rule="duplicates", level="note", message=f"{repeated} rows repeat an earlier row's features")
    for name in ("validation", "test"):
        shared = int(np.isin(prints[name], prints["train"]).sum())
        if shared:
            text = f"{shared} of {len(prints[name])} {name} rows have the features of a training row: scores flatter"
            yield CheckResult(rule="split_overlap", level="warning", message=text)


def _count_unique(values: Array) -> int:
    """Return how many different values there are; in random words `np.unique` takes twenty times as long."""
    ordered = np.sort(values)
    return int((ordered[1:] != ordered[:-1]).sum()) + bool(len(ordered))


def hash_rows(x: Array) -> NDArray[np.uint64]:
    """Return a number for each row of x (n, ...), equal for equal rows: a polynomial in 64-bit words, in one pass."""
    rows = np.ascontiguousarray(x).reshape(len(x), -1).view(np.uint8)
    words = rows.shape[1] // 8
    odd = np.random.default_rng(0).integers(0, 2**63, words + 8, dtype=np.uint64) * 2 + 1
    whole = rows[:, : words * 8]
    found = np.empty(len(rows), np.uint64)
    for i in range(0, len(rows), 4096):  # a piece at a time: the products are as large as the rows
        part = np.ascontiguousarray(whole[i : i + 4096]).view(np.uint64)
        found[i : i + 4096] = _mix_bits(part) @ odd[:words] if words else 0
    for k, byte in enumerate(rows[:, words * 8 :].T):
        found += byte.astype(np.uint64) * odd[words + k]
    return found


def _mix_bits(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread each word's bits: sums of words whose low bits are 0, as those of round floats are, collide."""
    return words ^ (words >> np.uint64(32))


def _check_balance(dataset: Dataset) -> Iterator[CheckResult]:
    classes = np.array(dataset.schema.classes)
    counts = np.bincount(dataset.train.y, minlength=len(classes))
    for name in ("validation", "test"):
        absent = np.setdiff1d(np.arange(len(classes)), getattr(dataset, name).y)
        if len(absent):
            text = f"{name} rows have none of {_format_names(classes[absent])}: scores say nothing of it"
            yield CheckResult(rule="absent_class", level="warning", message=text)
    absent = classes[counts == 0]
    if len(absent):
        text = f"training rows have none of {_format_names(absent)}, which cannot be learnt; split another way, or remove it"
        yield CheckResult(rule="unseen_class", level="error", message=text)
    few = classes[(counts > 0) & (counts < CV_FOLDS)]
    if len(few):
        text = f"{_format_names(few)} has fewer than {CV_FOLDS} training rows: not enough for {CV_FOLDS} folds"
        yield CheckResult(rule="small_class", level="warning", message=text)
    common, rare = counts.argmax(), np.where(counts, counts, counts.max() + 1).argmin()
    ratio = counts[common] / counts[rare]
    if ratio == 1:
        yield CheckResult(rule="class_balance", level="note", message=f"{counts[common]} training rows of each class")
        return
    text = f"{counts[common]} training rows of {classes[common]} to {counts[rare]} of {classes[rare]}"
    severe = ratio > IMBALANCE_RATIO
    how = f"a classifier with `training: {{class_balance: weighted_loss}}` finds more of {classes[rare]}, and takes others for it"
    never = f"of so few, {classes[rare]} may never be predicted; " if counts[rare] < MIN_CLASS_ROWS else ""
    remedy = f"; {never}look at macro_f1, not at accuracy; {how}" if severe else ""
    yield CheckResult(rule="class_balance", level="warning" if severe else "note", message=f"{text}{remedy}")


def _check_identifiers(dataset: Dataset) -> Iterator[CheckResult]:
    """Words that hardly repeat, and whole numbers that count the rows of all sets one by one."""
    rows = len(dataset.train)
    place = 0
    for column in dataset.schema.columns:
        values = np.concatenate([records.x[:, place] for records in dataset.splits().values()])
        place += len(column.features)
        known = values[~np.isnan(values)]
        if column.type == "categorical":
            odd = len(column.categories) > rows / 2
        else:
            whole = column.type == "numeric" and len(known) == len(values) and bool((known == np.round(known)).all())
            odd = (
                whole
                and np.ptp(known) < ID_RANGE_RATIO * len(values)
                and _count_unique(known) >= ID_UNIQUE_SHARE * len(values)
            )
        if odd and rows >= 2 * CV_FOLDS:
            words = column.type == "categorical"
            what = f"{len(column.categories)} different words in {rows} training rows" if words else "counts the rows"
            text = f"{column.name}: {what}; an identifier? name it under `drop`"
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
            text = f"{count} of {len(x)} values of {name} lie over {OUTLIER_IQR_FACTOR:.0f} quartile ranges out; `clip` would cut them"
            yield CheckResult(rule="outliers", level="note", message=text, column=name)


def _check_leakage(dataset: Dataset) -> Iterator[CheckResult]:
    """Fit a small tree to each feature alone, on a sample of training rows, and score it on others."""
    pick = np.random.default_rng(0).permutation(len(dataset.train))[:SAMPLE_ROWS]
    x, y = dataset.train.x[pick], dataset.train.y[pick]
    classes = bool(dataset.schema.classes)
    if classes:
        present, counts = np.unique(y, return_counts=True)
        if len(present) < 2 or counts.min() < 3:
            keep = np.isin(y, present[counts >= 3])
            x, y = x[keep], y[keep]
        if len(np.unique(y)) < 2:
            return
    if len(y) < 30:
        return
    tree = (
        DecisionTreeClassifier(max_leaf_nodes=4 * len(dataset.schema.classes), class_weight="balanced", random_state=0)
        if classes
        else DecisionTreeRegressor(min_samples_leaf=2, random_state=0)
    )
    jumps = [_target_variation(column, y, classes) for column in x.T]
    for i in np.sort(np.argsort(jumps, kind="stable")[:MAX_LEAK_CANDIDATES]):
        name = dataset.schema.features[i]
        values = np.nan_to_num(x[:, i : i + 1], nan=-1.0)
        if classes:  # each category may tell a class of its own
            tree.set_params(
                max_leaf_nodes=max(4 * len(dataset.schema.classes), min(len(np.unique(values)), MAX_LEAF_NODES))
            )
        score = cross_val_score(tree, values, y, cv=3, scoring="balanced_accuracy" if classes else "r2").mean()
        if score >= LEAK_SCORE:
            measure = "balanced accuracy" if classes else "R2"
            target = dataset.schema.target
            text = f"{name} alone tells {target} ({measure} {score:.3f}): is it known beforehand? if not, `drop` it"
            yield CheckResult(rule="leakage", level="warning", message=text, column=name)


def _check_constant_column_leakage(dataset: Dataset) -> Iterator[CheckResult]:
    """Look at the columns of sequences that do not change within one, as at those of a table."""
    same = constant_within_sequences(dataset.train)
    names = tuple(np.array(dataset.schema.features)[same].tolist())
    if names:
        schema = dataset.schema.model_copy(update={"features": names})
        train = Split(dataset.train.x[:, 0, same], dataset.train.y, dataset.train.rows)
        yield from _check_leakage(Dataset(schema, train, dataset.validation, dataset.test))


def _target_variation(column: Array, y: Array, is_classification: bool) -> float:
    """Return how much the target changes from row to row in the order of a column (n,): 0 where one tells the other."""
    steps = np.diff(y[np.argsort(column, kind="stable")])
    return float((steps != 0).sum() if is_classification else (steps.astype(np.float64) ** 2).sum())


def _format_names(names: Array) -> str:
    return ", ".join(map(str, names[:MAX_LISTED])) + (", ..." if len(names) > MAX_LISTED else "")
