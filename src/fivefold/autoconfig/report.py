"""What `fivefold add` shows on the screen."""

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..data.columns.dates import step_of, time_of
from ..data.dataset import Array, Dataset
from ..data.schema import Column, Schema, folded
from .add import Added
from .columns import times_of
from .target import listed

COLUMNS = 20
"""Columns that are listed at most."""

NAME, WORDS = 30, 56
"""Characters of a name and of a list of words at most."""

NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?")

COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


def show(added: Added, console: Console) -> None:
    """Print what was inferred: rows, columns with types, classes, and what the checks found."""
    dataset, schema = added.dataset, added.dataset.schema
    told = f" of {schema.target}" if schema.target else ""
    console.print(Text.assemble((added.name, "bold"), f": {schema.kind}, {schema.task}{told}"))
    parts = ", ".join(f"{len(records):,} {part}" for part, records in dataset.splits().items())
    rows = {"series": "windows", "text": "texts", "table": "rows"}.get(schema.kind, schema.kind)
    if schema.task == "language":
        rows = "windows"
    console.print(Text(f"{rows}, split {_split(added)}: {parts}"))
    console.print(_columns(dataset) if schema.kind == "table" else _facts(added))
    grid = Table.grid(padding=(0, 1))  # so that a long line goes on below its words
    for level, text in _remarks(added):
        grid.add_row(Text(level, COLOURS[level]), Text(text))
    console.print(grid)


def show_difference(text: str, console: Console) -> None:
    """Print a unified diff; on a terminal, what comes and what goes has a colour."""
    for line in text.splitlines():
        colour = {"+": "green", "-": "red", "@": "dim"}.get(line[:1], "")
        console.print(Text(line, colour), soft_wrap=True)


def _split(added: Added) -> str:
    split = added.block["split"]
    match split["by"]:
        case "time":
            return "by time, the latest last"
        case "column":
            return f"as {split['column']!r} says" if "column" in split else "as the source says"
        case "group":
            return f"by {split['column']}"
    return {"random": "at random", "stratified": "stratified by class"}[str(split["by"])]


def _remarks(added: Added) -> Iterable[tuple[str, str]]:
    if added.empty:
        yield "warning", f"left out, without any value that can be read: {listed(added.empty)}"
    if added.constant:
        yield "warning", f"left out, of one value in all rows: {listed(added.constant)}"
    silent = {*added.empty, *added.constant, *added.texts}  # of which it is told
    if left_out := [name for name in added.block.get("drop", []) if name not in silent]:
        yield "note", f"left out, as identifiers: {listed(left_out)} (take them out of `drop` if not)"
    if added.block.get("rare"):
        yield "note", "categories of under 1 % of the rows are merged (`rare`)"
    for note in added.notes:
        yield "note", note
    for finding in folded(added.findings):
        yield finding.level, f"{finding.rule}: {finding.text}"


def _columns(dataset: Dataset) -> Table:
    table = Table("column", "type", "missing", "training rows", box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[0].no_wrap = True
    place, columns = 0, dataset.schema.columns
    for column in columns[:COLUMNS]:
        values = dataset.train.x[:, place]
        place += len(column.features)
        gaps = float(np.isnan(values).mean())
        missing = f"{max(gaps, 0.001):.1%}" if gaps else ""
        table.add_row(*map(Text, (_cut(column.name), column.type, missing, _values(column, values))))
    hidden = Counter(column.type for column in columns[COLUMNS:])
    if hidden:
        kinds = ", ".join(f"{count} {kind}" for kind, count in hidden.most_common())
        table.add_row("...", "", "", f"and {hidden.total()} more: {kinds}" if len(hidden) > 1 else f"and {kinds} more")
    if not dataset.schema.target:
        return table
    table.add_section()
    table.add_row(Text(_cut(dataset.schema.target)), "target", "", Text(_target(dataset)), style="bold")
    return table


def _values(column: Column, values: Array) -> str:
    known = values[~np.isnan(values)]
    if column.categories:
        return f"{len(column.categories)}: {_listed(column.categories)}"
    if column.parts:
        return ", ".join(column.parts)
    if not len(known):
        return "none"
    if column.type == "categorical":
        return "every category is rare"
    if column.type == "boolean":
        return f"true in {known.mean():.1%}"
    return f"{_number(known.min())} to {_number(known.max())}"


def _facts(added: Added) -> Table:
    dataset, schema = added.dataset, added.dataset.schema
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    axes = {"images": " (channels x height x width)", "text": " tokens"}
    table.add_row("a record", " x ".join(map(str, schema.shape)) + axes.get(schema.kind, " (steps x values)"))
    if schema.features and schema.kind != "series":
        table.add_row("values", Text(_listed(schema.features)))
    if schema.kind == "sequences":
        lengths = (~np.isnan(dataset.train.x).all(axis=2)).sum(axis=1)
        low, high = lengths.min(), lengths.max()
        table.add_row("length", f"{low} steps" if low == high else f"{low} to {high} steps")
    if schema.kind == "series":
        name = added.block["time"] if isinstance(added.block["time"], str) else " ".join(added.block["time"])
        table.add_row("time", Text(f"{name}: {_span(name, schema)}"))
        for place, name in enumerate(schema.features[:COLUMNS]):
            role = "target" if name in added.block["targets"] else "exogenous"
            seen = dataset.train.x[..., place]
            table.add_row(Text(_cut(name)), f"{role}, {_number(seen.min())} to {_number(seen.max())} in training rows")
    if schema.vocabulary:
        table.add_row("vocabulary", f"{len(schema.vocabulary):,} tokens ({schema.tokens.replace('_', ' ')})")
    if schema.task in ("classification", "regression"):
        table.add_row(Text(_cut(schema.target), "bold"), Text(_target(dataset), "bold"))
    return table


def _span(name: str, schema: Schema) -> str:
    """Return the first and the last time of a series and its step; counted from 1970, as the dates that they are."""
    (first, last), step = schema.span, schema.step
    if NUMBER.fullmatch(first) and NUMBER.fullmatch(step):
        times = times_of(pd.Series([float(first), float(first) + float(step), float(last)], name=name))
        if times is not None and times.dtype.kind == "M":
            first, last, step = time_of(times, 0), time_of(times, -1), step_of(times[:2])
    return f"{first} to {last}, a step is {step}"


def _target(dataset: Dataset) -> str:
    """Return what a target takes: classes with their training rows, the most common first, or a range."""
    schema, y = dataset.schema, dataset.train.y
    if not schema.classes:
        return f"{_number(y.min())} to {_number(y.max())}"
    counts = np.bincount(y, minlength=len(schema.classes))
    order = np.argsort(-counts, kind="stable")
    each = f" of {counts[0]:,}" if counts.min() == counts.max() else ""
    names = [_cut(schema.classes[i]) + ("" if each else f" ({counts[i]:,})") for i in order]
    return f"{len(order)} classes{each}: {_listed(names)}"


def _listed(words: Iterable[str]) -> str:
    """Return as many words as stand in a line, and three dots where there are more."""
    shown = ""
    for word in words:
        if shown and len(shown) + len(word) > WORDS:
            return f"{shown}, ..."
        shown += f", {_cut(word)}" if shown else _cut(word)
    return shown


def _cut(name: str) -> str:
    """Return a name, a long one without its middle, for names often differ at their ends."""
    return name if len(name) <= NAME else f"{name[: NAME // 2 - 1]}…{name[-NAME // 2 :]}"


def _number(value: float) -> str:
    if abs(value) >= 1e9:
        return f"{value:.4g}"
    if value == round(value) or abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.4g}"
