"""Which running trials are given up."""

from pathlib import Path

import pytest
from optuna import Trial, TrialPruned
from optuna.trial import TrialState

from fivefold.tuning.execution.liveness import Worker
from fivefold.tuning.execution.objective import Running
from fivefold.tuning.execution.run import start
from fivefold.tuning.execution.storage import VARIABLE
from fivefold.tuning.identity import CURVE, FOLDS

from .projects import FAMILIES, model_of, write_project

RATE = {"training": {"optimizer": {"lr": {"type": "float", "low": 0.001, "high": 0.03, "log": True}}}}
EPOCHS = 9


def test_what_others_are_compared_with_is_never_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (VARIABLE, "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    settings = {"folds": 3, "sampler": "random", "prune": "two_stage"}
    write_project(tmp_path, {"mlp": model_of(*FAMILIES["mlp"], search=RATE, study=settings)})
    search, trials, total = start("mlp", "mlp", 8)
    goal = search.goal
    good, bad = ({goal.name: goal.sign * value} for value in (0.9, 0.1))
    own, other, *ended = [
        Running(search, trials, Trial(trials.study, place._trial_id)) for place in trials.take(Worker("mlp"), total, 8)
    ]
    for running in (own, other, *ended):
        running.model()
    for running in ended:
        running.trial.set_user_attr(CURVE, [0.9] * EPOCHS)
        running.trial.set_user_attr(FOLDS, [good] * 3)
        running.end(TrialState.COMPLETE, [good[goal.name]], "", 0.0)
    behind = [0.1] * (EPOCHS - 1)
    assert "below the median" in other.behind(behind, EPOCHS)
    assert own.behind(behind, EPOCHS) == ""
    with pytest.raises(TrialPruned, match="worse than those of trial"):
        other._look([bad, bad])
    own._look([bad, bad])
