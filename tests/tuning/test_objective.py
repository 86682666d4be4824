"""Which running trials are given up."""

from pathlib import Path

import pytest
from optuna import Trial, TrialPruned
from optuna.trial import TrialState

from fivefold.tuning.execution.liveness import WorkerLock
from fivefold.tuning.execution.objective import TrialRunner
from fivefold.tuning.execution.run import open_study
from fivefold.tuning.execution.storage import STORAGE_VARIABLE
from fivefold.tuning.identity import FOLD_SCORES, INTERMEDIATE_VALUES

from .projects import FAMILIES, model_of, write_project

RATE = {"training": {"optimizer": {"lr": {"type": "float", "low": 0.001, "high": 0.03, "log": True}}}}
EPOCHS = 9


def test_what_others_are_compared_with_is_never_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (STORAGE_VARIABLE, "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    settings = {"folds": 3, "sampler": "random", "pruner": "median_then_wilcoxon"}
    write_project(tmp_path, {"mlp": model_of(*FAMILIES["mlp"], search=RATE, study=settings)})
    search, trials, total = open_study("mlp", "mlp", 8)
    goal = search.objective_metric
    good, bad = ({goal.name: goal.sign * value} for value in (0.9, 0.1))
    own, other, *ended = [
        TrialRunner(search, trials, Trial(trials.study, place._trial_id))
        for place in trials.claim(WorkerLock("mlp"), total, 8)
    ]
    for running in (own, other, *ended):
        running.build_model()
    for running in ended:
        running.trial.set_user_attr(INTERMEDIATE_VALUES, [0.9] * EPOCHS)
        running.trial.set_user_attr(FOLD_SCORES, [good] * 3)
        running.finish(TrialState.COMPLETE, [good[goal.name]], "", 0.0)
    behind = [0.1] * (EPOCHS - 1)
    assert "below the median" in other.prune_reason(behind, EPOCHS)
    assert own.prune_reason(behind, EPOCHS) == ""
    with pytest.raises(TrialPruned, match="worse than those of trial"):
        other._report_and_prune([bad, bad])
    own._report_and_prune([bad, bad])
