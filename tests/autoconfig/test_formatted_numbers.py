"""Notes on formatted numbers, and on numbers with units, which are categories."""

import pandas as pd
import pytest

from fivefold.autoconfig.columns import note_formatted_numbers, note_units

REMEDY = "remove the unit to make them numeric"


def test_durations_that_may_be_minutes_are_reported() -> None:
    frame = pd.DataFrame({"run": ["07:28", "57:28", "59:01"], "start": ["07:28", "12:28", "23:01"]})
    minutes = "(hours and minutes; if 57:28 is minutes and seconds, write 00:57:28)"
    examples = f"run '07:28' as 26880 seconds {minutes}, start '07:28' as 26880 seconds"
    assert note_formatted_numbers(frame) == (f"parsed as numbers: {examples}",)


def test_numbers_with_a_unit_are_reported() -> None:
    weight = [f"{n} kg" for n in range(20)]
    size = [f"{n},5m2" for n in range(18)] + ["?", None]
    speed = [f"{n} km/h" if n % 2 else f"{n} mph" for n in range(20)]
    note = "numbers with a unit are treated as categories: weight '0 kg', size '0,5m2', speed '0 mph'"
    frame = pd.DataFrame({"weight": weight, "size": size, "speed": speed, "x": range(20)})
    assert note_units(frame) == (f"{note}; {REMEDY}",)


@pytest.mark.parametrize(
    "cells",
    [
        [f"{n} €" for n in range(20)],  # parsed as numbers
        [f"{n}th" for n in range(20)],
        [f"{n}{chr(97 + n)}" for n in range(20)],  # codes
        [f"kg {n}" for n in range(20)],
        ["5 kg", "10 kg"] * 10,
        [f"2020-01-{n:02}" for n in range(1, 21)],
    ],
)
def test_other_strings_have_no_unit(cells: list[str]) -> None:
    assert note_units(pd.DataFrame({"words": cells})) == ()
