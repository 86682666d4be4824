"""Rows held out and test rows: nothing that is learnt in a fold, or searched within it, follows from them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fivefold.crossval import jobs, nested
from fivefold.crossval.crossval import Crossval, Division, Plan, Result
from fivefold.crossval.jobs import Trained, train_all
from fivefold.crossval.workers import trained
from fivefold.preprocessing.pipeline import Chain

from ..tuning.projects import FAMILIES, mixes, model_of, write_project

LR = {"type": "float", "low": 0.001, "high": 0.1, "log": True}
SEARCH = {"select": {"k": {"type": "int", "low": 1, "high": 3}}, "training": {"optimizer": {"lr": LR}}}
LINE = model_of(
    "mixes", {"family": "mlp", "hidden": []}, select={"method": "k_best", "score": "f", "k": 2}, search=SEARCH,
    study={"folds": 2, "prune": "none"},
)  # fmt: skip


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Crossval]:
    """Reads a project in which rows are as given."""
    write_project(tmp_path, {"line": LINE, "bars": model_of(*FAMILIES["mlp"]), "gan": model_of(*FAMILIES["gan"])})
    monkeypatch.chdir(tmp_path)

    def again(name: str = "line", altered: object = (), **plan: object) -> Crossval:
        mixes(tmp_path / "mixes.csv", altered=altered)
        return Crossval.read(Plan(names=(name,), folds=3, **plan))  # type: ignore[arg-type]

    return again


def learnt(crossval: Crossval, number: int = 0) -> tuple[Chain, Trained]:
    division, model = crossval.divisions[number], crossval.params.models["line"]
    ((job, outcome),) = train_all("line", [crossval.job(division, model, division.seed)], Path("work"))
    return job.chain, outcome


def same(one: tuple[Chain, Trained], other: tuple[Chain, Trained]) -> bool:
    """Say whether preprocessing, epochs and weights are equal, to the bit."""
    chains = [
        [(step.kind, {k: v.tolist() for k, v in step.arrays.items()}) for step in c.steps] for c, _ in (one, other)
    ]
    assert one[1].saved is not None
    assert other[1].saved is not None
    weights = [outcome.saved.model.state_dict() for _, outcome in (one, other) if outcome.saved]
    return (
        chains[0] == chains[1]
        and one[1].epochs == other[1].epochs
        and all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    )


@pytest.mark.parametrize("name", ["line", "bars"])
def test_each_row_is_in_one_part_and_test_rows_are_in_none(name: str, read: Callable[..., Crossval]) -> None:
    crossval = read(name, repeats=2)
    parts = crossval.rows.parts
    known = sorted([*parts["train"], *parts["validation"]])
    assert len(crossval.divisions) == 6
    for each in crossval.divisions:
        assert sorted([*each.train, *each.aside, *each.held]) == known
        assert sorted([*each.train, *each.aside]) == sorted(each.learnt)
        assert len(each.aside) / len(each.learnt) == pytest.approx(0.25, abs=0.03)  # as 0.2 of what test rows leave
        dataset = crossval.job(each, crossval.params.models[name], 0).dataset
        assert dataset.test.rows.tolist() == each.held.tolist()
        assert dataset.validation.rows.tolist() == each.aside.tolist()
    first, second = (np.concatenate([each.held for each in crossval.divisions[i : i + 3]]) for i in (0, 3))
    assert sorted(first) == sorted(second) == known
    assert first.tolist() != second.tolist()
    assert crossval.divisions[0].seed != crossval.divisions[3].seed
    assert crossval.ratio == pytest.approx(0.5, abs=0.01)


def test_rows_held_out_change_nothing_that_a_fold_learns(read: Callable[..., Crossval]) -> None:
    crossval = read()
    division, before = crossval.divisions[0], learnt(crossval)
    assert same(before, learnt(read()))
    assert same(before, learnt(read(altered=[*division.held, *crossval.rows.parts["test"]])))
    for other in (division.train[:3], division.aside[:3]):  # which does show
        assert not same(before, learnt(read(altered=other)))


def results(crossval: Crossval) -> list[dict[str, object]]:
    found = trained(crossval, [("line", number) for number in range(3)], Path("work"))
    return [{**result.model_dump(), "seconds": 0} for result in found]


def test_test_rows_change_no_score(read: Callable[..., Crossval]) -> None:
    crossval = read()
    before = results(crossval)
    assert before == results(read(altered=crossval.rows.parts["test"]))
    assert before != results(read(altered=crossval.divisions[1].held[:1]))


def test_folds_that_learn_at_once_get_what_they_get_alone(
    read: Callable[..., Crossval], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    crossval, found, said = read(), [], []
    for numbers in (jobs.LARGEST, 300, 0):  # rows of all folds at once, of two, of one
        monkeypatch.setattr(jobs, "LARGEST", numbers)
        found.append(results(crossval))
        said.append(capsys.readouterr().out)
    for other in found[1:]:
        for result, same in zip(found[0], other, strict=True):
            assert result["scores"] == pytest.approx(same["scores"])
            assert result["kept_epoch"] == same["kept_epoch"]
    assert "3 at once" in said[0]
    assert "2 at once" in said[1]
    assert "at once" not in said[2]


def test_a_generator_is_scored_by_the_epochs_that_rows_held_out_choose(read: Callable[..., Crossval]) -> None:
    crossval = read("gan")
    each, model = crossval.divisions[0], crossval.params.models["gan"]
    dataset = crossval.job(each, model, 0).dataset
    assert dataset.train.rows.tolist() == each.learnt.tolist()
    assert dataset.validation.rows.tolist() == dataset.test.rows.tolist() == each.held.tolist()


def searched(crossval: Crossval, division: Division) -> Result:
    return nested.result(crossval, "line", division, Path("work"))


def test_a_search_within_a_fold_sees_nothing_of_what_it_holds_out(read: Callable[..., Crossval]) -> None:
    crossval = read(nested=True, trials=4)
    division = crossval.divisions[0]
    before = searched(crossval, division)
    assert before.winner is not None
    assert (before.winner.trials, before.winner.ended, before.winner.metric) == (4, 4, "r2")
    assert set(before.winner.values) == {"select.k", "training.optimizer.lr"}
    assert before.scores["r2"] != before.winner.inner
    again = read(altered=[*division.held, *crossval.rows.parts["test"]], nested=True, trials=4)
    after = searched(again, division)
    assert after.winner == before.winner
    assert after.kept_epoch == before.kept_epoch
    assert after.scores != before.scores
    assert not list(Path(".fivefold").glob("studies/*"))
