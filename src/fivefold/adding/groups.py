"""Columns that say whose a row is: rows of one patient in two sets would flatter the score."""

import re
from collections.abc import Iterable

import pandas as pd

WHO = frozenset(
    (
        *("patient", "subject", "participant", "person", "user", "customer", "client", "student", "speaker"),
        *("donor", "household", "animal", "group"),
    )
)
"""Words that name what a row is of."""

MARKS = frozenset(("id", "ids", "no", "nr", "number", "code", "key", "uuid"))
"""Words that say that a column holds names, no measures."""

LEAST = 10
"""Groups from which a share of them can be drawn."""


def group_of(frame: pd.DataFrame, names: Iterable[str]) -> tuple[str, bool] | None:
    """Return the column of `names` that tells groups, and whether its name says so for sure; None if there is none.

    A group stands in several rows, and there are ten or more. Sure are `patient`, `user_id`, `SubjectNo`: the split
    follows them, for who has several rows of a person wants to know about persons not seen yet. Of any other `..._id`
    a person has to judge: rows of one shop or product may well be asked about again.
    """
    found = [name for name in names if says_ids(name) and _repeats(frame[name])]
    surest = sorted(found, key=lambda name: not says_who(name))
    return (surest[0], says_who(surest[0])) if surest else None


def says_who(name: str) -> bool:
    """Say whether a name holds nothing but whose a row is: `patient_id`, not `customer_age`."""
    words = words_of(name)
    return bool(words & WHO) and words <= WHO | MARKS


def says_ids(name: str) -> bool:
    """Say whether a name is that of a column of names."""
    return says_who(name) or bool(words_of(name) & {"id", "uuid"})


def words_of(name: str) -> frozenset[str]:
    """Return the words of a name: of `PatientID`, `patient id` and `patientid` patient and id."""
    words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
    return frozenset(
        part for word in words for part in ((word[:-2], "id") if word.removesuffix("id") in WHO - {word} else (word,))
    )


def _repeats(values: pd.Series) -> bool:
    counts = values.value_counts(dropna=False)
    return not values.isna().any() and LEAST <= len(counts) <= len(values) / 2 and bool(counts.max() < len(values) / 2)
