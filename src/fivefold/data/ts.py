"""UCR/UEA's format of sequences, .ts: dimensions parted by colons, the label after the last one, ? for a gap.

Shapes: t steps, f dimensions.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError, one_line, shown
from .records import Array
from .target import numbers


def read_ts(source: Path, *, labelled: bool) -> tuple[list[Array], pd.Series]:
    """Return the steps (t, f) of each sequence, and their labels.

    labelled: whether there must be labels; those that are not there are missing.

    Raises:
        DataError: the file is torn, has times of its own, no label, or lines that differ in their dimensions.
    """
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{source} must be a .ts file in UTF-8, but is not: {one_line(error)}; get it again") from None
    start = next((i for i, line in enumerate(lines) if line.strip().lower() == "@data"), None)
    if start is None:
        raise DataError(f"{source} must be a .ts file with a line @data, but has none; get it again")
    told, there = _head(source, lines[:start], labelled)
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
                f"{source}: values must be numbers, but line {number} is not: {one_line(error)}; mend it"
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
                f" has {shown(labels[-1])}; mend one of them"
            )
    if not blocks:
        raise DataError(f"{source} must hold sequences after @data, but holds none; get it again")
    target = pd.Series(labels, name="label").replace(["", "?"], None)
    if "@targetlabel" in told:
        target = pd.Series(numbers(target, source), name="label")
    return blocks, target


def _head(source: Path, lines: list[str], labelled: bool) -> tuple[set[str], bool]:
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
    if labelled and not there:
        raise DataError(
            f"{source} must say `@classLabel true` or `@targetLabel true`, but does not: nothing to predict; get"
            " another file, or set `task: unsupervised`"
        )
    return told, there
