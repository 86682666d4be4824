"""The pairs of files in which UCR and UEA give their sequences: NAME_TRAIN.ts and NAME_TEST.ts, or .tsv, or .txt.

Source: Dau et al. 2018, The UCR Time Series Archive: without header, one sequence a line, its label first, NaN behind
the end of shorter ones. Shapes: t steps, f dimensions.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError, one_line
from .records import Array
from .ts import read_ts

SUFFIXES = (".ts", ".tsv", ".txt")
"""Those that are looked for, the first that is there is read: archives hold the same sequences in several forms."""


def pair_of(folder: Path) -> tuple[Path, Path]:
    """Return the files of training and of test sequences in a folder.

    Raises:
        DataError: there is no such pair, or there are several.
    """
    files = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_file()}
    found = {}
    for suffix in reversed(SUFFIXES):
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


def read_pair(folder: Path, *, labelled: bool) -> tuple[list[Array], pd.Series, pd.Series]:
    """Return the steps (t, f) of each sequence, their labels, and train or test for each; `labelled` as of `read_ts`.

    Raises:
        DataError: there is not one pair, a file is torn, or the two differ in their dimensions.
    """
    blocks: list[Array] = []
    labels, given = [], []
    for path, part in zip(pair_of(folder), ("train", "test"), strict=True):
        more, names = read_ts(path, labelled=labelled) if path.suffix.lower() == ".ts" else _read_lines(path)
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
            row = np.array([np.nan if cell == "?" else _number(cell, number) for cell in cells], np.float64)
            known = np.flatnonzero(~np.isnan(row[1:]))
            if np.isnan(row[0]) or not len(known):
                raise ValueError(f"line {number} has no label or no value")
            labels.append(row[0])
            blocks.append(row[1 : known[-1] + 2, None])
    except (ValueError, OSError) as error:  # of an encoding too
        raise DataError(
            f"{path} must hold a label and numbers in each line, but does not: {one_line(error)}; get it again"
        ) from None
    if not blocks:
        raise DataError(f"{path} must hold sequences, but holds none; get it again")
    return blocks, pd.Series(labels, name="label")


def _number(cell: str, line: int) -> float:
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"line {line} holds {cell!r}") from None
