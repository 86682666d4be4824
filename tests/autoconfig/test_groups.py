"""A column that says whose a row is splits by itself where its name is sure, and is a hint where it is not."""

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


def found(folder: Path, **columns: Any) -> DatasetProposal:
    frame = pd.DataFrame({"a": RANDOM.random(300), **columns, "y": ["no", "yes"] * 150})
    frame.to_csv(folder / "mine.csv", index=False)
    return detect_dataset(folder / "mine.csv")


@pytest.mark.parametrize(
    ("name", "who", "ids"),
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
def test_names_that_say_whose_a_row_is(name: str, who: bool, ids: bool) -> None:
    assert (is_entity_name(name), is_id_name(name)) == (who, ids)


def test_rows_of_a_patient_stay_together(tmp_path: Path) -> None:
    looked = found(tmp_path, patient_id=FIVE_EACH)
    assert looked.block["split"] == {"by": "group", "column": "patient_id", "validation": 0.15, "test": 0.15}
    assert looked.notes[0].startswith("patient_id repeats (60 values in 300 rows): split by it, since rows of one")


def test_of_a_shop_a_person_has_to_judge(tmp_path: Path) -> None:
    looked = found(tmp_path, shop_id=FIVE_EACH)
    assert looked.block["split"]["by"] == "stratified"
    how = "set `split: {by: group, column: shop_id, validation: 0.15, test: 0.15}`"
    assert f"if rows of one shop_id belong together, {how}" in looked.notes[0]


def test_the_split_of_the_source_goes_before(tmp_path: Path) -> None:
    looked = found(tmp_path, patient_id=FIVE_EACH, part=["train", "test", "train"] * 100)
    assert looked.block["split"] == {"by": "column", "column": "part", "validation": 0.15}


@pytest.mark.parametrize(
    "values",
    [
        np.arange(300),
        np.arange(300) % 5,
        np.where(np.arange(300) < 200, 0, np.arange(300) % 50),
        [None, *FIVE_EACH[1:]],
    ],
    ids=["one row each", "few", "one has most", "a gap"],
)
def test_what_does_not_repeat_evenly_is_no_group(values: Any) -> None:
    assert find_group_column(pd.DataFrame({"patient": values}), ["patient"]) is None


def test_sequences_of_one_person_stay_together(tmp_path: Path) -> None:
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
    looked = detect_dataset(tmp_path / "mine.csv")
    assert (looked.block["kind"], looked.block["series"], looked.block["values"]) == ("sequences", "id", ["v"])
    assert (looked.block["split"]["by"], looked.block["split"]["column"]) == ("group", "user")
