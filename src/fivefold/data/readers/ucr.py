"""UCR/UEA's format of sequences, .ts: dimensions parted by colons, the label after the last one, ? for a gap.

Shapes: t steps, f dimensions.

The pairs of files in which UCR and UEA give their sequences: NAME_TRAIN.ts and NAME_TEST.ts, or .tsv, or .txt.

Source: Dau et al. 2018, The UCR Time Series Archive: without header, one sequence a line, its label first, NaN behind
the end of shorter ones. Shapes: t steps, f dimensions.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import DataError, format_value, one_line_message
from ..dataset import Array
from ..targets import parse_numeric


def read_ts(source: Path, *, labeled: bool) -> tuple[list[Array], pd.Series]:
    """Return the steps (t, f) of each sequence, and their labels.

    labelled: whether there must be labels; those that are not there are missing.

    Raises:
        DataError: the file is torn, has times of its own, no label, or lines that differ in their dimensions.
    """
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(
            f"{source} must be a .ts file in UTF-8, but is not: {one_line_message(error)}; get it again"
        ) from None
    start = next((i for i, line in enumerate(lines) if line.strip().lower() == "@data"), None)
    if start is None:
        raise DataError(f"{source} must be a .ts file with a line @data, but has none; get it again")
    told, there = _parse_header(source, lines[:start], labeled)
    known = {word for line in lines[:start] if line.lower().startswith("@classlabel") for word in line.split()[2:]}
    blocks: list[Array] = []
    labels: list[str] = []
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        *dimensions, label = line.split(":") if there else (*line.split(":"), "")
        try:
            rows = [
                [np.nan if cell.strip() in ("?", "NaN", "") else float(cell) for cell in d.split(",")]
                for d in dimensions
            ]
        except ValueError as error:
            raise DataError(
                f"{source}: values must be numbers, but line {number} is not: {one_line_message(error)}; mend it"
            ) from None
        if not rows or len({len(row) for row in rows}) > 1 or (blocks and len(rows) != blocks[0].shape[1]):
            raise DataError(
                f"{source}: a line must have as many dimensions as the first, all of one length,"
                f"{' and a label,' if there else ''} but line {number} has not; mend it"
            )
        blocks.append(np.array(rows, np.float64).T)
        labels.append(label.strip())
        if known and labels[-1] not in known | {"", "?"}:
            raise DataError(
                f"{source}: a label must be one that @classLabel lists, {', '.join(sorted(known))}, but line {number}"
                f" has {format_value(labels[-1])}; mend one of them"
            )
    if not blocks:
        raise DataError(f"{source} must hold sequences after @data, but holds none; get it again")
    target = pd.Series(labels, name="label").replace(["", "?"], None)
    if "@targetlabel" in told:
        target = pd.Series(parse_numeric(target, source), name="label")
    return blocks, target


def _parse_header(source: Path, lines: list[str], labeled: bool) -> tuple[set[str], bool]:
    """Return what the lines before @data say is true, and whether there are labels.

    Raises:
        DataError: there are times, or no labels where there must be.
    """
    head = [line.lower().split() for line in lines]
    told = {words[0] for words in head if words[1:2] == ["true"]}
    if "@timestamps" in told:
        raise DataError(
            f"{source}: steps must be even, but @timeStamps is true, so that each value has a time of its own; bring"
            " values without times"
        )
    there = bool(told & {"@classlabel", "@targetlabel"})
    if labeled and not there:
        raise DataError(
            f"{source} must say `@classLabel true` or `@targetLabel true`, but does not: nothing to predict; get"
            " another file, or set `task: unsupervised`"
        )
    return told, there


PAIR_SUFFIXES = (".ts", ".tsv", ".txt")
"""Those that are looked for, the first that is there is read: archives hold the same sequences in several forms."""


def find_pair(folder: Path) -> tuple[Path, Path]:
    """Return the files of training and of test sequences in a folder.

    Raises:
        DataError: there is no such pair, or there are several.
    """
    files = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_file()}
    found = {}
    for suffix in reversed(PAIR_SUFFIXES):
        for name in files:
            test = name.removesuffix(f"_train{suffix}") + f"_test{suffix}"
            if name.endswith(f"_train{suffix}") and test in files:
                found[name.removesuffix(f"_train{suffix}")] = (files[name], files[test])
    if len(found) != 1:
        holds = " and ".join(train.name for train, _ in list(found.values())[:2]) or "none"
        raise DataError(
            f"{folder}: a folder of sequences must hold one pair NAME_TRAIN.ts and NAME_TEST.ts, or .tsv, or .txt, but"
            f" holds {holds}; name another folder or a file under `source`"
        )
    return next(iter(found.values()))


def read_pair(folder: Path, *, labeled: bool) -> tuple[list[Array], pd.Series, pd.Series]:
    """Return the steps (t, f) of each sequence, their labels, and train or test for each; `labelled` as of `read_ts`.

    Raises:
        DataError: there is not one pair, a file is torn, or the two differ in their dimensions.
    """
    blocks: list[Array] = []
    labels, given = [], []
    for path, part in zip(find_pair(folder), ("train", "test"), strict=True):
        more, names = read_ts(path, labeled=labeled) if path.suffix.lower() == ".ts" else _read_lines(path)
        if blocks and more[0].shape[1] != blocks[0].shape[1]:
            raise DataError(
                f"{path} must have as many dimensions as its training sequences, {blocks[0].shape[1]}, but has"
                f" {more[0].shape[1]}; get both again"
            )
        blocks += more
        labels.append(names)
        given += [part] * len(more)
    return blocks, pd.concat(labels, ignore_index=True), pd.Series(given, name="split")


def _read_lines(path: Path) -> tuple[list[Array], pd.Series]:
    """Return steps (t, 1) and labels of lines of numbers."""
    blocks, labels = [], []
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
            cells = line.replace(",", " ").split()
            if not cells:
                continue
            row = np.array([np.nan if cell == "?" else _parse_number(cell, number) for cell in cells], np.float64)
            known = np.flatnonzero(~np.isnan(row[1:]))
            if np.isnan(row[0]) or not len(known):
                raise ValueError(f"line {number} has no label or no value")
            labels.append(row[0])
            blocks.append(row[1 : known[-1] + 2, None])
    except (ValueError, OSError) as error:  # of an encoding too
        raise DataError(
            f"{path} must hold a label and numbers in each line, but does not: {one_line_message(error)}; get it again"
        ) from None
    if not blocks:
        raise DataError(f"{path} must hold sequences, but holds none; get it again")
    return blocks, pd.Series(labels, name="label")


def _parse_number(cell: str, line: int) -> float:
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"line {line} holds {cell!r}") from None
