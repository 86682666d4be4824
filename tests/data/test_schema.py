"""Many results of one rule are displayed in one line."""

from fivefold.data.schema import CheckResult, merge_similar


def constants(n: int) -> list[CheckResult]:
    return [
        CheckResult(rule="constant", level="warning", message=f"p{i} is constant; add it to `drop`", column=f"p{i}")
        for i in range(n)
    ]


def test_few_results_are_not_merged() -> None:
    assert merge_similar(constants(3)) == constants(3)


def test_many_results_are_merged_into_the_first() -> None:
    found = merge_similar(constants(133))
    assert [result.message for result in found] == [
        "p0 is constant; add it to `drop`; same for 132 more: p1, p2, p3, p4, p5, ..."
    ]
    assert [result.message for result in merge_similar(constants(4))] == [
        "p0 is constant; add it to `drop`; same for 3 more: p1, p2, p3"
    ]


def test_other_rules_and_levels_and_results_without_a_column_are_not_merged() -> None:
    rows = [CheckResult(rule="split_overlap", level="warning", message=str(i)) for i in range(9)]
    notes = [result.model_copy(update={"level": "note"}) for result in constants(2)]
    assert merge_similar([*constants(4), *notes, *rows]) == [*merge_similar(constants(4)), *notes, *rows]
