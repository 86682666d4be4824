"""Each target of a dataset by itself, and where a model's predictions have it.

Shapes: n rows, k numbers that a model gives for a row.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .records import Array, Records
from .schema import Schema


@dataclass(frozen=True)
class Goal:
    """One target.

    schema: that of a dataset with this target alone.
    columns: of a model's predictions (n, k), those of this target.
    place: column of `Records.also`; None for the leading target.
    """

    schema: Schema
    columns: slice
    place: int | None = None

    @property
    def prefix(self) -> str:
        """What stands before the name of a score or a column of this target."""
        return "" if self.place is None else f"{self.schema.target}."

    def known(self, records: Records) -> Array:
        """Return whether each row has this target, (n,)."""
        if self.place is None or records.also is None:
            return np.ones(len(records), bool)
        return np.asarray(~np.isnan(records.also[:, self.place]))

    def records(self, records: Records) -> Records:
        """Return the rows that have this target, which is their y."""
        if self.place is None or records.also is None:
            return records
        rows = records.take(np.flatnonzero(self.known(records)))
        assert rows.also is not None
        y = rows.also[:, self.place]
        return Records(rows.x, y.astype(np.int64) if self.schema.classes else y, rows.rows, rows.groups)

    def told(self, records: Records, p: Array) -> Array:
        """Return of predictions p (n, k) those of this target, of the rows that have it."""
        return p if self.columns == slice(None) else p[self.known(records), self.columns]


def goals(schema: Schema) -> tuple[Goal, ...]:
    """Return every target, the leading one first."""
    if not schema.also:
        return (Goal(schema, slice(None)),)
    leading = schema.model_copy(update={"also": ()})
    found, end = [Goal(leading, slice(0, leading.n_outputs))], leading.n_outputs
    for place, further in enumerate(schema.also):
        alone = {
            "task": "classification" if further.classes else "regression",
            "target": further.name,
            "classes": further.classes,
            "values": () if further.classes else (further.name,),
            "log": False,
        }
        start, end = end, end + (len(further.classes) or 1)
        found.append(Goal(leading.model_copy(update=alone), slice(start, end), place))
    return tuple(found)


def gives(schema: Schema) -> dict[str, Any]:
    """Return what is said of a model's predictions to those who have only its file, as plain values.

    Further targets have their first column and the one past their last; the leading target has those before them.
    """
    return {
        "target": schema.target,
        "task": schema.task,
        "classes": schema.classes,
        "values": schema.values,
        "also": [
            {
                "target": goal.schema.target,
                "classes": goal.schema.classes,
                "columns": [goal.columns.start, goal.columns.stop],
            }
            for goal in goals(schema)[1:]
        ],
    }
