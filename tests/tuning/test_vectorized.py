"""Trials that learn together: one that another worker took over takes no other with it."""

from pathlib import Path

import pytest
from optuna import Trial
from optuna.trial import FrozenTrial, TrialState

from fivefold.tuning.execution import vectorized
from fivefold.tuning.execution.liveness import WorkerLock
from fivefold.tuning.execution.objective import TrialRunner
from fivefold.tuning.execution.run import open_study
from fivefold.tuning.execution.storage import STORAGE_VARIABLE, hold_study_lock
from fivefold.tuning.execution.trials import TrialQueue
from fivefold.tuning.identity import FOLD_SCORES, MEAN_SCORES, WORKER

from .projects import FAMILIES, model_of, write_project

RATE = {"training": {"optimizer": {"lr": {"type": "float", "low": 0.001, "high": 0.03, "log": True}}}}


def take_over(trials: TrialQueue, place: FrozenTrial, other: WorkerLock) -> Trial:
    """Have another worker take a trial whose own one it takes for dead."""
    trials.storage.set_trial_state_values(place._trial_id, TrialState.WAITING)
    with hold_study_lock(trials.name):
        trials.storage.set_trial_user_attr(place._trial_id, WORKER, other.name)
        trials.storage.set_trial_state_values(place._trial_id, TrialState.RUNNING)
    return Trial(trials.study, place._trial_id)


@pytest.mark.parametrize("begun", [False, True], ids=["before they learn", "while they learn"])
def test_a_trial_that_is_taken_over_is_lost_alone(begun: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (STORAGE_VARIABLE, "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    write_project(tmp_path, {"mlp": model_of(*FAMILIES["mlp"], search=RATE, study={"folds": 2, "sampler": "random"})})
    search, trials, total = open_study("mlp", "mlp", 4)
    late, other = WorkerLock("mlp"), WorkerLock("mlp")
    places = trials.claim(late, total, 4)
    every = [TrialRunner(search, trials, Trial(trials.study, place._trial_id)) for place in places]
    ready = [vectorized._prepare_trial(running) for running in every] if begun else []
    theirs = [take_over(trials, place, other) for place in places[:2]]
    trials.finish(theirs[0], [0.25], TrialState.COMPLETE)
    states = [*vectorized._run_group(ready).values()] if begun else vectorized.run_vectorized(every)
    assert [state.name for state in states] == ["RUNNING", "RUNNING", "COMPLETE", "COMPLETE"]
    told, held, *mine = TrialQueue.load("mlp").get_trials()
    assert (told.state, told.value) == (TrialState.COMPLETE, 0.25)
    assert not {FOLD_SCORES, MEAN_SCORES} & {*told.user_attrs, *held.user_attrs}
    assert (held.state, held.user_attrs[WORKER]) == (TrialState.RUNNING, other.name)
    assert all(trial.state == TrialState.COMPLETE and len(trial.user_attrs[FOLD_SCORES]) == 2 for trial in mine)
    trials.finish(theirs[1], [0.5], TrialState.COMPLETE)
    assert len(trials.get_trials(TrialState.COMPLETE)) == total
