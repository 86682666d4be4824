"""What a source is: its kind, and a dataset block for it."""

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from ..data import columns, idx
from ..data.frame import SUFFIXES, need, read_frame
from ..data.npz import read_npz
from ..data.roles import PARTS
from ..data.ts import read_ts
from ..errors import DataError
from ..params.datasets import Column, Format
from .sniff import sniff

Block = dict[str, Any]

KINDS = ("table", "images", "sequences", "series", "text")

TARGETS = ("target", "label", "class", "y")
"""Names by which a target is known without being told, the surest first."""

SERIES = ("series", "series_id", "sequence", "case", "id", "sample", "subject")
STEPS = ("t", "step", "time", "index", "timestamp", "date", "frame")

FEW = 20
"""Different whole numbers up to which a target is taken for classes."""

LONG_TEXT = 25.0
"""Mean characters of a cell from which a column of words is text."""

SHARES = {"validation": 0.15, "test": 0.15}


def look(source: Path, target: str, kind: str) -> Block:
    """Return a dataset block for `source`; `target` and `kind` are inferred where empty.

    Raises:
        DataError: it cannot be told what the source is, or which column is the target.
    """
    if kind and kind not in KINDS:
        raise DataError(f"--kind must be one of {', '.join(KINDS)}, but is {kind!r}; choose one of them")
    if source.suffix == ".txt":
        return _language()
    if source.suffix == ".ts":
        _, labels = read_ts(source)
        return _labelled("sequences", labels, by_source=False)
    if source.suffix == ".npz":
        return _npz(source, kind)
    if source.is_file() and idx.holds(source):
        raise DataError(f"{source} must come with its labels; name the folder that holds the IDX files")
    if source.is_dir() or source.suffix == ".zip":
        return _images(by_source=len(idx.parts(source)) > 1 or _has_parts(source))
    if source.suffix == ".sklearn" and kind in ("", "images") and "digits" in source.read_text(errors="replace"):
        return _images(by_source=False)
    if not source.name.lower().endswith(SUFFIXES):
        raise DataError(
            f"{source} must be {', '.join(SUFFIXES)}, .txt, .ts, .npz, .zip or a folder of images, but is none of them;"
            " convert it"
        )
    return _of_frame(source, target, kind)


def _language() -> Block:
    split = {"by": "time", "validation": 0.05, "test": 0.1}
    return {"kind": "text", "task": "language", "level": "character", "length": 32, "split": split}


def _images(*, by_source: bool) -> Block:
    split = {"by": "column"} if by_source else {"by": "stratified", **SHARES}
    return {"kind": "images", "task": "classification", "split": split, "normalize": "minmax"}


def _has_parts(source: Path) -> bool:
    if source.is_dir():
        names = {path.name.lower() for path in source.iterdir() if path.is_dir()}
        return bool(names) and names <= set(PARTS)
    try:
        with zipfile.ZipFile(source) as archive:
            paths = [PurePosixPath(name).parent.parts for name in archive.namelist()]
    except (zipfile.BadZipFile, EOFError, OSError, ValueError):
        return False  # reading it says what is wrong
    tops = {part.lower() for parts in paths for part in parts[:2]} & set(PARTS)
    return {PARTS[top] for top in tops} >= {"train", "test"}


def _npz(source: Path, kind: str) -> Block:
    arrays = read_npz(source)
    x, by_source = arrays["x"], "split" in arrays
    images = x.dtype == np.uint8 and x.ndim in (3, 4)
    wanted = "images" if kind == "images" or (not kind and images) else "sequences"
    return _labelled(wanted, pd.Series(arrays["y"].ravel()), by_source=by_source)


def _labelled(kind: str, labels: pd.Series, *, by_source: bool) -> Block:
    """Return a block of records with a label or a value each."""
    task = _task(labels)
    split = {"by": "column"} if by_source else _split(labels, task, None)
    return {"kind": kind, "task": task, "split": split, "normalize": "minmax" if kind == "images" else "standard"}


def _of_frame(source: Path, target: str, kind: str) -> Block:
    form = Format() if source.suffix.lower() in (".parquet", ".sklearn") else sniff(source)
    frame = read_frame(source, form)
    said = form.model_dump(exclude_defaults=True)
    block = _of_columns(frame, source, target, kind)
    kind = block.pop("kind")
    return {"kind": kind, **({"format": said} if said else {}), **block}


def _of_columns(frame: pd.DataFrame, source: Path, target: str, kind: str) -> Block:
    split = next((name for name in frame if _says_parts(frame[name])), None)
    if target:
        need(frame, {target: "--target"}, source)
    times = next((name for name in frame if name != target and _is_time(frame[name])), None)
    if not kind or kind == "series":
        block = _series(frame, target, times, sure=bool(kind), source=source)
        if block:
            return block
    target = target or _target(frame, split, source)
    if kind in ("", "sequences"):
        block = _sequences(frame, target, split, sure=bool(kind), source=source)
        if block:
            return block
    task = _task(frame[target])
    divided = _split(frame[target], task, split)
    pixels = [name for name in frame if name not in (target, split)]
    if kind == "images" or (not kind and _are_pixels(frame[pixels])):
        return {"kind": "images", "target": target, "task": task, "split": divided, "normalize": "minmax"}
    texts = [name for name in pixels if _is_text(frame[name])]
    if kind == "text" or (not kind and texts):
        if not texts:
            raise DataError(
                f"{source} must have a column of text beside {target!r}, but has none; choose another --kind"
            )
        return _texts(frame, texts[0], target, task, divided)
    return {"kind": "table", "task": task, "target": target, "split": divided, "normalize": "standard"}


def _texts(frame: pd.DataFrame, text: str, target: str, task: str, split: Block) -> Block:
    words = frame[text].dropna().astype(str).str.count(r"\w+")
    length = int(np.clip(2 ** math.ceil(math.log2(max(words.quantile(0.9), 8))), 8, 512))
    return {"kind": "text", "text": text, "target": target, "task": task, "length": length, "split": split}


def _series(frame: pd.DataFrame, target: str, times: str | None, *, sure: bool, source: Path) -> Block | None:
    """Return a block if rows are steps of one series: a column of times that never repeat, and numbers."""
    if times is None:
        if sure:
            raise DataError(
                f"{source} must have a column of dates or times, each once, but has none; choose another --kind"
            )
        return None
    numeric = [name for name in frame if name != times and pd.api.types.is_numeric_dtype(frame[name])]
    found = target or (numeric[0] if len(numeric) == 1 else next((n for n in numeric if n.lower() in TARGETS), ""))
    if found not in numeric or (not sure and _task(frame[found]) == "classification"):
        return None
    if not sure and (len(numeric) + 1 < frame.shape[1] or not _is_even(frame[times])):
        return None  # words would be lost, or rows are events, not steps
    window = max(min(_season(frame[times]) + 1, len(frame) // 5), 4)  # one more shows the change since a season ago
    held = int(np.clip(len(frame) // 6, 2, 10_000))
    others = [name for name in numeric if name != found]
    return {
        "kind": "series",
        "task": "forecasting",
        "time": times,
        "targets": [found],
        **({"exogenous": others} if others else {}),
        "window": window,
        "horizon": 1,
        "split": {"by": "time", "validation": held, "test": held},
        "normalize": "standard",
    }


def _season(times: pd.Series) -> int:
    """Return how many steps make a season: a year of months, quarters or weeks, a week of days, a day of hours."""
    kind, _ = columns.infer(times, Column())
    if kind != "date":
        return 12
    cells, _ = columns.parse(times, kind)
    hours = float(np.median(np.diff(np.sort(cells)) / np.timedelta64(1, "h")))
    if 28 <= hours / 24 <= 31:
        return 12
    if 90 <= hours / 24 <= 92:
        return 4
    return {0.5: 48, 1: 24, 24: 7, 24 * 7: 52}.get(hours, 12)


def _sequences(frame: pd.DataFrame, target: str, split: str | None, *, sure: bool, source: Path) -> Block | None:
    """Return a block if rows are steps of many sequences: id and step stand together once, an id has one target."""
    found = next(_step_columns(frame, [name for name in frame if name not in (target, split)], target), None)
    if found is None:
        if sure:
            raise DataError(
                f"{source} must have a column that names the sequence and one that orders its steps, in which a target"
                " stands once, but has not; mend the file"
            )
        return None
    series, step = found
    labels = frame.drop_duplicates(series).set_index(series)[target]
    task = _task(labels)
    values = [n for n in frame if n not in (series, step, target, split) and _is_numeric(frame[n])]
    words = [n for n in frame if n not in (series, step, target, split, *values)]
    return {
        "kind": "sequences",
        "task": task,
        "target": target,
        "series": series,
        "step": step,
        **({"values": values} if words else {}),
        "split": _split(labels, task, split),
        "normalize": "standard",
    }


def _step_columns(frame: pd.DataFrame, names: list[str], target: str) -> Iterator[tuple[str, str]]:
    """Yield pairs of columns that may be sequence and step; of pairs without a telling name more is asked."""
    ids = sorted(names, key=lambda name: name.lower() not in SERIES)
    steps = sorted(names, key=lambda name: name.lower() not in STEPS)
    for series in ids:
        rows = frame[series].map(frame[series].value_counts())
        if not (1 < frame[series].nunique() < len(frame)) or frame[series].isna().any():
            continue
        once = frame.drop_duplicates([series, target])[series].is_unique
        for step in (name for name in steps if once and name != series):
            named = series.lower() in SERIES and step.lower() in STEPS
            # each sequence has five steps or more, which stand in order
            known = named or (rows.min() >= 5 and _is_numeric(frame[step]) and _rises(frame, series, step))
            if known and not frame.duplicated([series, step]).any():
                yield series, step


def _rises(frame: pd.DataFrame, series: str, step: str) -> bool:
    apart = frame.groupby(series)[step].diff().dropna()
    return bool((apart > 0).all())


def _is_numeric(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype))


def _target(frame: pd.DataFrame, split: str | None, source: Path) -> str:
    known = [name for name in frame if name.lower() in TARGETS and name != split]
    if known:
        return str(min(known, key=lambda name: TARGETS.index(name.lower())))
    shown = ", ".join(map(str, frame.columns[:20])) + (", ..." if len(frame.columns) > 20 else "")
    raise DataError(f"{source}: say which column to predict with --target; the columns are {shown}")


def _is_even(times: pd.Series) -> bool:
    """Say whether most neighbours in time are equally far apart, or a month or a year."""
    kind, _ = columns.infer(times, Column())
    cells, bad = columns.parse(times, kind)
    if len(bad):
        return False
    apart = pd.Series(np.diff(np.sort(np.asarray(cells))))
    if kind == "date":
        days = apart / np.timedelta64(1, "D")
        apart = days.where(days < 28, (days / 30.4).round())
    return bool(len(apart) > 2 and apart.value_counts(normalize=True).iloc[0] >= 0.6)


def _task(values: pd.Series) -> str:
    """Return classification for words, booleans and few whole numbers, else regression."""
    known = values.dropna()
    if not pd.api.types.is_numeric_dtype(known.dtype) or pd.api.types.is_bool_dtype(known.dtype):
        kind, _ = columns.infer(known, Column())
        return "regression" if kind == "numeric" else "classification"
    whole = bool((known == known.round()).all())
    return "classification" if whole and known.nunique() <= min(FEW, max(2, len(known) // 5)) else "regression"


def _split(target: pd.Series, task: str, column: str | None) -> Block:
    if column:
        return {"by": "column", "column": column}
    enough = task == "classification" and target.value_counts().min() >= 10
    return {"by": "stratified" if enough else "random", **SHARES}


def _says_parts(values: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(values.dtype):
        return False
    words = set(values.dropna().astype(str).str.strip().str.lower().unique()[:10])
    return {PARTS.get(word) for word in words} >= {"train", "test"}


def _is_time(values: pd.Series) -> bool:
    kind, _ = columns.infer(values, Column())
    named = str(values.name).lower() in ("year", "time", "date", "timestamp")
    return values.is_unique and not values.isna().any() and (kind == "date" or (kind == "numeric" and named))


def _is_text(values: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(values.dtype) or columns.infer(values, Column())[0] != "categorical":
        return False
    cells = values.dropna().astype(str)
    return bool(cells.str.len().mean() >= LONG_TEXT and cells.nunique() > len(cells) / 2)


def _are_pixels(frame: pd.DataFrame) -> bool:
    """Say whether columns are the pixels of a square image: as many as a square has, whole numbers from 0 to 255."""
    width = frame.shape[1]
    square = any(width % c == 0 and math.isqrt(width // c) ** 2 == width // c for c in (1, 3, 4))
    if width < 64 or not square or not all(pd.api.types.is_integer_dtype(kind) for kind in frame.dtypes):
        return False
    values = frame.head(1000).to_numpy()
    return bool(values.min() >= 0 and 15 < values.max() <= 255)
