"""Group columns are split by if they denote an entity, and are reported otherwise."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fivefold.autoconfig.columns import find_group_column, is_entity_name, is_id_name
from fivefold.autoconfig.detect import detect_dataset
from fivefold.autoconfig.table import DatasetProposal

RANDOM = np.random.default_rng(0)
FIVE_EACH = RANDOM.permutation(np.repeat(np.arange(60) * 7, 5))


def detect(folder: Path, **columns: Any) -> DatasetProposal:
    frame = pd.DataFrame({"a": RANDOM.random(300), **columns, "y": ["no", "yes"] * 150})
    frame.to_csv(folder / "mine.csv", index=False)
    return detect_dataset(folder / "mine.csv")


@pytest.mark.parametrize(
    ("name", "is_entity", "is_id"),
    [
        ("patient", True, True),
        ("PatientID", True, True),
        ("patientid", True, True),
        ("user id", True, True),
        ("subject_no", True, True),
        ("store_id", False, True),
        ("id", False, True),
        ("customer_age", False, False),
        ("user_rating", False, False),
        ("zip_code", False, False),
        ("paid", False, False),
    ],
)
def test_names_of_entities_and_ids(name: str, is_entity: bool, is_id: bool) -> None:
    assert (is_entity_name(name), is_id_name(name)) == (is_entity, is_id)


def test_rows_are_split_by_patient(tmp_path: Path) -> None:
    proposal = detect(tmp_path, patient_id=FIVE_EACH)
    assert proposal.block["split"] == {"by": "group", "column": "patient_id", "validation": 0.15, "test": 0.15}
    assert proposal.notes[0].startswith(
        "patient_id repeats (60 values in 300 rows): split by group, because rows of one"
    )


def test_shops_are_suggested_as_groups(tmp_path: Path) -> None:
    proposal = detect(tmp_path, shop_id=FIVE_EACH)
    assert proposal.block["split"]["by"] == "stratified"
    remedy = "set `split: {by: group, column: shop_id, validation: 0.15, test: 0.15}`"
    assert f"if rows of one shop_id belong together, {remedy}" in proposal.notes[0]


def test_a_predefined_split_takes_precedence(tmp_path: Path) -> None:
    proposal = detect(tmp_path, patient_id=FIVE_EACH, part=["train", "test", "train"] * 100)
    assert proposal.block["split"] == {"by": "predefined", "column": "part", "validation": 0.15}


@pytest.mark.parametrize(
    "values",
    [
        np.arange(300),
        np.arange(300) % 5,
        np.where(np.arange(300) < 200, 0, np.arange(300) % 50),
        [None, *FIVE_EACH[1:]],
    ],
    ids=["unique", "few", "one dominates", "missing"],
)
def test_columns_that_are_not_groups(values: Any) -> None:
    assert find_group_column(pd.DataFrame({"patient": values}), ["patient"]) is None


def test_sequences_are_split_by_user(tmp_path: Path) -> None:
    n, steps = 40, 6
    frame = pd.DataFrame(
        {
            "id": np.repeat(np.arange(n), steps),
            "t": np.tile(np.arange(steps), n),
            "user": np.repeat(np.arange(n) // 4, steps),
            "v": RANDOM.random(n * steps),
            "label": np.repeat(["no", "yes"] * (n // 2), steps),
        }
    )
    frame.to_csv(tmp_path / "mine.csv", index=False)
    proposal = detect_dataset(tmp_path / "mine.csv")
    assert (proposal.block["kind"], proposal.block["sequence_id"], proposal.block["values"]) == (
        "sequences",
        "id",
        ["v"],
    )
    assert (proposal.block["split"]["by"], proposal.block["split"]["column"]) == ("group", "user")
