"""Read sequences in the formats of the UCR/UEA archives.

A .ts file separates dimensions by colons, ends each line with the label, and marks missing values by a question mark.
The archives come as pairs of files: NAME_TRAIN.ts and NAME_TEST.ts, or .tsv, or .txt. The latter two have no header and
one sequence per line, with the label first and NaN after the end of shorter sequences.

Source: Dau et al. 2018, The UCR Time Series Archive. Shapes: t steps, f dimensions.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import DataError, format_value, one_line_message
from ..dataset import Array
from ..targets import parse_numeric


def read_ts(source: Path, *, labeled: bool) -> tuple[list[Array], pd.Series]:
    """Return the steps (t, f) of each sequence, and their labels.

    Args:
        labeled: whether labels are required; missing labels are None.

    Raises:
        DataError: the file is corrupt, has timestamps, no label, or lines with different numbers of dimensions.
    """
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(
            f"{source} must be a .ts file in UTF-8, but is not: {one_line_message(error)}; download it again"
        ) from None
    start = next((i for i, line in enumerate(lines) if line.strip().lower() == "@data"), None)
    if start is None:
        raise DataError(f"{source} must be a .ts file with a line @data, but has none; download it again")
    true_tags, has_labels = _parse_header(source, lines[:start], labeled)
    known = {word for line in lines[:start] if line.lower().startswith("@classlabel") for word in line.split()[2:]}
    blocks: list[Array] = []
    labels: list[str] = []
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        *dimensions, label = line.split(":") if has_labels else (*line.split(":"), "")
        try:
            rows = [
                [np.nan if cell.strip() in ("?", "NaN", "") else float(cell) for cell in d.split(",")]
                for d in dimensions
            ]
        except ValueError as error:
            raise DataError(
                f"{source}: values must be numbers, but line {number} is not: {one_line_message(error)}; fix it"
            ) from None
        if not rows or len({len(row) for row in rows}) > 1 or (blocks and len(rows) != blocks[0].shape[1]):
            raise DataError(
                f"{source}: a line must have as many dimensions as the first, all of the same length"
                f"{', and a label' if has_labels else ''}, but line {number} does not; fix it"
            )
        blocks.append(np.array(rows, np.float64).T)
        labels.append(label.strip())
        if known and labels[-1] not in known | {"", "?"}:
            raise DataError(
                f"{source}: a label must be listed in @classLabel, {', '.join(sorted(known))}, but line {number}"
                f" has {format_value(labels[-1])}; fix one of them"
            )
    if not blocks:
        raise DataError(f"{source} must contain sequences after @data, but has none; download it again")
    target = pd.Series(labels, name="label").replace(["", "?"], None)
    if "@targetlabel" in true_tags:
        target = pd.Series(parse_numeric(target, source), name="label")
    return blocks, target


def _parse_header(source: Path, lines: list[str], labeled: bool) -> tuple[set[str], bool]:
    """Return the header tags that are true, and whether there are labels.

    Raises:
        DataError: there are timestamps, or labels are required but missing.
    """
    header = [line.lower().split() for line in lines]
    true_tags = {words[0] for words in header if words[1:2] == ["true"]}
    if "@timestamps" in true_tags:
        raise DataError(
            f"{source}: steps must be evenly spaced, but @timeStamps is true, so each value has its own time; use a"
            " file without timestamps"
        )
    has_labels = bool(true_tags & {"@classlabel", "@targetlabel"})
    if labeled and not has_labels:
        raise DataError(
            f"{source} must contain `@classLabel true` or `@targetLabel true`, but has no labels; use another file, or"
            " set `task: unsupervised`"
        )
    return true_tags, has_labels


PAIR_SUFFIXES = (".ts", ".tsv", ".txt")
"""In the order of preference: archives contain the same sequences in several formats."""


def find_pair(folder: Path) -> tuple[Path, Path]:
    """Return the files of training and test sequences in a folder.

    Raises:
        DataError: there is no such pair, or there are several.
    """
    files = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_file()}
    pairs = {}
    for suffix in reversed(PAIR_SUFFIXES):
        for name in files:
            test = name.removesuffix(f"_train{suffix}") + f"_test{suffix}"
            if name.endswith(f"_train{suffix}") and test in files:
                pairs[name.removesuffix(f"_train{suffix}")] = (files[name], files[test])
    if len(pairs) != 1:
        names = " and ".join(train.name for train, _ in list(pairs.values())[:2]) or "none"
        raise DataError(
            f"{folder}: a folder of sequences must contain one pair NAME_TRAIN.ts and NAME_TEST.ts, or .tsv, or .txt,"
            f" but contains {names}; set `source` to another folder or a file"
        )
    return next(iter(pairs.values()))


def read_pair(folder: Path, *, labeled: bool) -> tuple[list[Array], pd.Series, pd.Series]:
    """Return the steps (t, f) of each sequence, their labels, and "train" or "test" for each.

    Args:
        labeled: as in `read_ts`.

    Raises:
        DataError: there is not exactly one pair, a file is corrupt, or the numbers of dimensions differ.
    """
    blocks: list[Array] = []
    labels, predefined = [], []
    for path, split in zip(find_pair(folder), ("train", "test"), strict=True):
        new_blocks, new_labels = read_ts(path, labeled=labeled) if path.suffix.lower() == ".ts" else _read_lines(path)
        if blocks and new_blocks[0].shape[1] != blocks[0].shape[1]:
            raise DataError(
                f"{path} must have as many dimensions as its training sequences, {blocks[0].shape[1]}, but has"
                f" {new_blocks[0].shape[1]}; download both again"
            )
        blocks += new_blocks
        labels.append(new_labels)
        predefined += [split] * len(new_blocks)
    return blocks, pd.concat(labels, ignore_index=True), pd.Series(predefined, name="split")


def _read_lines(path: Path) -> tuple[list[Array], pd.Series]:
    """Return steps (t, 1) and labels from lines of numbers."""
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
    except (ValueError, OSError) as error:  # including encoding errors
        raise DataError(
            f"{path} must contain a label and numbers in each line, but does not: {one_line_message(error)}; download"
            " it again"
        ) from None
    if not blocks:
        raise DataError(f"{path} must contain sequences, but has none; download it again")
    return blocks, pd.Series(labels, name="label")


def _parse_number(cell: str, line: int) -> float:
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"line {line} contains {cell!r}") from None
