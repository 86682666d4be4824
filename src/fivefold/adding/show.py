"""What `fivefold add` shows on the screen."""

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from ..data.records import Dataset
from .add import Added

COLUMNS = 30
"""Columns that are listed at most."""


def show(added: Added, console: Console) -> None:
    """Print what was inferred: rows, columns with types, classes, and what the checks found."""
    dataset, schema = added.dataset, added.dataset.schema
    rows = ", ".join(f"{len(records)} {part}" for part, records in dataset.splits().items())
    goal = escape(schema.target)
    console.print(f"[bold]{added.name}[/bold]: {schema.kind}, {schema.task} of {goal}; {rows} rows")
    table = _columns(dataset) if schema.kind == "table" else _facts(dataset)
    console.print(table)
    if left_out := added.block.get("drop"):
        console.print(
            f"[yellow]left out, as identifiers:[/] {escape(', '.join(left_out))} (take them out of `drop` if not)"
        )
    if added.block.get("rare"):
        console.print("categories of under 1 % of the rows are merged (`rare`)")
    if schema.kind == "text" and schema.task != "language":
        console.print("[dim]only the column of text is looked at[/]")
    if schema.kind != "table":
        console.print(f"[dim]taken for {schema.kind}; `--kind` says it otherwise[/]")
    colours = {"error": "red", "warning": "yellow", "note": "dim"}
    for finding in added.findings:
        level = f"[{colours.get(finding.level, '')}]{finding.level:8}[/]"
        console.print(Padding(f"{level} {finding.rule}: {escape(finding.text)}", (0, 0, 0, 2)))


def _columns(dataset: Dataset) -> Table:
    table = Table("column", "type", "missing", "values", title="training rows", title_justify="left")
    place = 0
    for column in dataset.schema.columns[:COLUMNS]:
        values = dataset.train.x[:, place]
        place += len(column.features)
        known = values[~np.isnan(values)]
        span = f"{known.min():g} to {known.max():g}" if len(known) else "none"
        words = ", ".join(column.categories[:4]) + (", ..." if len(column.categories) > 4 else "")
        shown = f"{len(column.categories)}: {words}" if column.categories else ", ".join(column.parts) or span
        table.add_row(escape(column.name), column.type, f"{np.isnan(values).mean():.1%}", escape(shown))
    hidden = len(dataset.schema.columns) - COLUMNS
    if hidden > 0:
        table.add_row(f"and {hidden} more", "", "", "")
    _target(dataset, table)
    return table


def _facts(dataset: Dataset) -> Table:
    schema = dataset.schema
    table = Table("what", "found", title="training rows", title_justify="left")
    table.add_row("shape of a record", " x ".join(map(str, schema.shape)))
    if schema.features:
        table.add_row("values", escape(", ".join(schema.features[:10])))
    if schema.kind == "sequences":
        lengths = (~np.isnan(dataset.train.x).all(axis=2)).sum(axis=1)
        table.add_row("steps", f"{lengths.min()} to {lengths.max()}")
    if schema.vocabulary:
        table.add_row("vocabulary", f"{len(schema.vocabulary)} tokens ({schema.tokens.replace('_', ' ')})")
    if schema.task != "language":
        _target(dataset, table)
    return table


def _target(dataset: Dataset, table: Table) -> None:
    schema, y = dataset.schema, dataset.train.y
    empty = [""] * (len(table.columns) - 2)
    name = escape(schema.target)
    if schema.classes:
        counts = np.bincount(y, minlength=len(schema.classes))
        order = np.argsort(-counts, kind="stable")
        named = ", ".join(f"{schema.classes[i]} {counts[i]}" for i in order[:8])
        more = ", ..." if len(order) > 8 else ""
        text = escape(f"{len(order)} classes: {named}{more}")
        table.add_row(name, *(["target", *empty[1:]] if empty else []), text)
    else:
        table.add_row(name, *(["target", *empty[1:]] if empty else []), f"{y.min():g} to {y.max():g}")
