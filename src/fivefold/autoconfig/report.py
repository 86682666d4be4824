"""Console report of `fivefold add`."""

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..data.columns.dates import describe_frequency, format_time
from ..data.dataset import Array, Dataset
from ..data.schema import Column, Schema, merge_similar
from .add import AddResult
from .columns import parse_times
from .target import format_list

MAX_COLUMNS = 20
"""Maximum number of columns listed."""

MAX_NAME_LENGTH, MAX_LIST_LENGTH = 30, 56
"""Maximum length of a name and of a list of values, in characters."""

NUMBER_PATTERN = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?")

LEVEL_COLORS = {"error": "red", "warning": "yellow", "note": "dim"}


def print_report(result: AddResult, console: Console) -> None:
    """Print what was inferred: rows, columns with types, classes, and the results of the checks."""
    dataset, schema = result.dataset, result.dataset.schema
    target = f" of {schema.target}" if schema.target else ""
    console.print(Text.assemble((result.name, "bold"), f": {schema.kind}, {schema.task}{target}"))
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in dataset.splits().items())
    rows = {"series": "windows", "text": "texts", "table": "rows"}.get(schema.kind, schema.kind)
    if schema.task == "language_modeling":
        rows = "windows"
    console.print(Text(f"{rows}, split {_describe_split(result)}: {sizes}"))
    console.print(_column_table(dataset) if schema.kind == "table" else _properties_table(result))
    grid = Table.grid(padding=(0, 1))  # so that long notes wrap within their column
    for level, text in _collect_notes(result):
        grid.add_row(Text(level, LEVEL_COLORS[level]), Text(text))
    console.print(grid)


def print_diff(text: str, console: Console) -> None:
    """Print a unified diff; on a terminal, added and removed lines are colored."""
    for line in text.splitlines():
        color = {"+": "green", "-": "red", "@": "dim"}.get(line[:1], "")
        console.print(Text(line, color), soft_wrap=True)


def _describe_split(result: AddResult) -> str:
    split = result.dataset_block["split"]
    match split["by"]:
        case "time":
            return "by time, latest rows last"
        case "predefined":
            return f"by the values of {split['column']!r}" if "column" in split else "as in the source"
        case "group":
            return f"by {split['column']}"
    return {"random": "at random", "stratified": "stratified by class"}[str(split["by"])]


def _collect_notes(result: AddResult) -> Iterable[tuple[str, str]]:
    if result.empty_columns:
        yield "warning", f"dropped, no valid values: {format_list(result.empty_columns)}"
    if result.constant_columns:
        yield "warning", f"dropped, constant: {format_list(result.constant_columns)}"
    reported = {*result.empty_columns, *result.constant_columns, *result.text_columns}
    if identifiers := [name for name in result.dataset_block.get("drop", []) if name not in reported]:
        yield "note", f"dropped, identifiers: {format_list(identifiers)} (remove them from `drop` to use them)"
    if result.dataset_block.get("min_frequency"):
        yield "note", "categories with less than 1% of the rows are merged (`min_frequency`)"
    for note in result.notes:
        yield "note", note
    for check_result in merge_similar(result.check_results):
        yield check_result.level, f"{check_result.rule}: {check_result.message}"


def _column_table(dataset: Dataset) -> Table:
    table = Table("column", "type", "missing", "training rows", box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[0].no_wrap = True
    index, columns = 0, dataset.schema.columns
    for column in columns[:MAX_COLUMNS]:
        values = dataset.train.x[:, index]
        index += len(column.features)
        missing_share = float(np.isnan(values).mean())
        missing_text = f"{max(missing_share, 0.001):.1%}" if missing_share else ""
        table.add_row(
            *map(Text, (_shorten_name(column.name), column.type, missing_text, _describe_values(column, values)))
        )
    hidden = Counter(column.type for column in columns[MAX_COLUMNS:])
    if hidden:
        kinds = ", ".join(f"{count} {kind}" for kind, count in hidden.most_common())
        table.add_row("...", "", "", f"and {hidden.total()} more: {kinds}" if len(hidden) > 1 else f"and {kinds} more")
    if not dataset.schema.target:
        return table
    table.add_section()
    table.add_row(
        Text(_shorten_name(dataset.schema.target)), "target", "", Text(_describe_target(dataset)), style="bold"
    )
    return table


def _describe_values(column: Column, values: Array) -> str:
    known = values[~np.isnan(values)]
    if column.categories:
        return f"{len(column.categories)}: {_format_words(column.categories)}"
    if column.date_parts:
        return ", ".join(column.date_parts)
    if not len(known):
        return "none"
    if column.type == "categorical":
        return "all categories are rare"
    if column.type == "boolean":
        return f"true in {known.mean():.1%}"
    return f"{_format_number(known.min())} to {_format_number(known.max())}"


def _properties_table(result: AddResult) -> Table:
    dataset, schema = result.dataset, result.dataset.schema
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    axes = {"images": " (channels x height x width)", "text": " tokens"}
    table.add_row("shape", " x ".join(map(str, schema.shape)) + axes.get(schema.kind, " (steps x values)"))
    if schema.features and schema.kind != "series":
        table.add_row("values", Text(_format_words(schema.features)))
    if schema.kind == "sequences":
        lengths = (~np.isnan(dataset.train.x).all(axis=2)).sum(axis=1)
        low, high = lengths.min(), lengths.max()
        table.add_row("length", f"{low} steps" if low == high else f"{low} to {high} steps")
    if schema.kind == "series":
        name = (
            result.dataset_block["time"]
            if isinstance(result.dataset_block["time"], str)
            else " ".join(result.dataset_block["time"])
        )
        table.add_row("time", Text(f"{name}: {_describe_time_span(name, schema)}"))
        for index, name in enumerate(schema.features[:MAX_COLUMNS]):
            role = "target" if name in result.dataset_block["targets"] else "exogenous"
            values = dataset.train.x[..., index]
            table.add_row(
                Text(_shorten_name(name)),
                f"{role}, {_format_number(values.min())} to {_format_number(values.max())} in training rows",
            )
    if schema.vocabulary:
        table.add_row("vocabulary", f"{len(schema.vocabulary):,} tokens ({schema.tokenizer.replace('_', ' ')})")
    if schema.task in ("classification", "regression"):
        table.add_row(Text(_shorten_name(schema.target), "bold"), Text(_describe_target(dataset), "bold"))
    return table


def _describe_time_span(name: str, schema: Schema) -> str:
    """Return the first and last time of a series and its step; Unix times are shown as dates."""
    (first, last), step = schema.time_range, schema.frequency
    if NUMBER_PATTERN.fullmatch(first) and NUMBER_PATTERN.fullmatch(step):
        times = parse_times(pd.Series([float(first), float(first) + float(step), float(last)], name=name))
        if times is not None and times.dtype.kind == "M":
            first, last, step = format_time(times, 0), format_time(times, -1), describe_frequency(times[:2])
    return f"{first} to {last}, step {step}"


def _describe_target(dataset: Dataset) -> str:
    """Return the classes of a target with their training rows, most frequent first, or its range."""
    schema, y = dataset.schema, dataset.train.y
    if not schema.classes:
        return f"{_format_number(y.min())} to {_format_number(y.max())}"
    counts = np.bincount(y, minlength=len(schema.classes))
    order = np.argsort(-counts, kind="stable")
    equal_count = f" of {counts[0]:,}" if counts.min() == counts.max() else ""
    names = [_shorten_name(schema.classes[i]) + ("" if equal_count else f" ({counts[i]:,})") for i in order]
    return f"{len(order)} classes{equal_count}: {_format_words(names)}"


def _format_words(words: Iterable[str]) -> str:
    """Return as many words as fit on a line, and an ellipsis if there are more."""
    shown = ""
    for word in words:
        if shown and len(shown) + len(word) > MAX_LIST_LENGTH:
            return f"{shown}, ..."
        shown += f", {_shorten_name(word)}" if shown else _shorten_name(word)
    return shown


def _shorten_name(name: str) -> str:
    """Return a name, shortened in the middle, because names often differ at their ends."""
    return (
        name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH // 2 - 1]}…{name[-MAX_NAME_LENGTH // 2 :]}"
    )


def _format_number(value: float) -> str:
    if abs(value) >= 1e9:
        return f"{value:.4g}"
    if value == round(value) or abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.4g}"
