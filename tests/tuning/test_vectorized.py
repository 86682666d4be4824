"""Vectorized trials: one that another worker took over does not affect the others."""

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

from .helpers import LR_SEARCH
from .projects import FAMILIES, model_block, write_project


def take_over(trials: TrialQueue, frozen: FrozenTrial, other: WorkerLock) -> Trial:
    """Assign a trial to another worker, as if its own one were considered dead."""
    trials.storage.set_trial_state_values(frozen._trial_id, TrialState.WAITING)
    with hold_study_lock(trials.name):
        trials.storage.set_trial_user_attr(frozen._trial_id, WORKER, other.name)
        trials.storage.set_trial_state_values(frozen._trial_id, TrialState.RUNNING)
    return Trial(trials.study, frozen._trial_id)


@pytest.mark.parametrize("prepare_before", [False, True], ids=["before preparation", "after preparation"])
def test_only_the_taken_over_trial_is_lost(
    prepare_before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (STORAGE_VARIABLE, "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    write_project(
        tmp_path, {"mlp": model_block(*FAMILIES["mlp"], search=LR_SEARCH, study={"folds": 2, "sampler": "random"})}
    )
    search, trials, total = open_study("mlp", "mlp", 4)
    worker, other = WorkerLock("mlp"), WorkerLock("mlp")
    claimed = trials.claim(worker, total, 4)
    runners = [TrialRunner(search, trials, Trial(trials.study, frozen._trial_id)) for frozen in claimed]
    prepared = [vectorized._prepare_trial(runner) for runner in runners] if prepare_before else []
    other_trials = [take_over(trials, frozen, other) for frozen in claimed[:2]]
    trials.finish(other_trials[0], [0.25], TrialState.COMPLETE)
    states = [*vectorized._run_group(prepared).values()] if prepare_before else vectorized.run_vectorized(runners)
    assert [state.name for state in states] == ["RUNNING", "RUNNING", "COMPLETE", "COMPLETE"]
    finished, taken_over, *own = TrialQueue.load("mlp").get_trials()
    assert (finished.state, finished.value) == (TrialState.COMPLETE, 0.25)
    assert not {FOLD_SCORES, MEAN_SCORES} & {*finished.user_attrs, *taken_over.user_attrs}
    assert (taken_over.state, taken_over.user_attrs[WORKER]) == (TrialState.RUNNING, other.name)
    assert all(trial.state == TrialState.COMPLETE and len(trial.user_attrs[FOLD_SCORES]) == 2 for trial in own)
    trials.finish(other_trials[1], [0.5], TrialState.COMPLETE)
    assert len(trials.get_trials(TrialState.COMPLETE)) == total
