"""The trial queue in each kind of storage: a trial is assigned once, released when its worker dies, finished once."""

import multiprocessing
import os
import signal
from typing import Any

import pytest
from optuna import Trial
from optuna.trial import TrialState

from fivefold.errors import ParamsError
from fivefold.training.checkpoints import LATEST_NAME, SafetensorsCheckpointIO
from fivefold.tuning.execution.liveness import TrialLost, WorkerLock, is_alive
from fivefold.tuning.execution.storage import hold_study_lock
from fivefold.tuning.execution.trials import MAX_ATTEMPTS, TrialQueue
from fivefold.tuning.identity import FOLD_SCORES, REASON, WORKER, WORKER_DEATHS

STUDY = {"metric": "accuracy", "objectives": ["score"]}
IDENTITY = {"name": "net", "model": {"network.hidden": [8]}, "study": STUDY, "seed": 1}


def open_study(total: int = 0, **changes: Any) -> TrialQueue:
    trials = TrialQueue.open("s", IDENTITY | changes, ["maximize"])
    trials.enqueue(total, [])
    return trials


def trial_states(trials: TrialQueue) -> list[str]:
    return [trial.state.name for trial in trials.get_trials()]


def kill_worker(max_trials: int = 1) -> None:
    """Start a worker that claims trials and is killed."""
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_claim_and_die, args=(max_trials,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def _claim_and_die(max_trials: int) -> None:
    TrialQueue.load("s").claim(WorkerLock("s"), 10, max_trials)
    os.kill(os.getpid(), signal.SIGKILL)


def release_dead(trials: TrialQueue) -> None:
    with hold_study_lock("s"):
        trials.release_dead()


@pytest.mark.usefixtures("storage_kind")
class TestTrialQueue:
    def test_total_is_the_number_of_trials(self) -> None:
        trials = open_study(2)
        trials.enqueue(3, [{"x": 1.5}, {"x": 2.5}, {"x": 3.5}, {"x": 4.5}])
        trials.enqueue(1, [])
        assert trial_states(trials) == ["WAITING"] * 3
        assert [trial.system_attrs.get("fixed_params") for trial in trials.get_trials()] == [None, None, {"x": 3.5}]
        assert trial_states(TrialQueue.load("s")) == ["WAITING"] * 3

    def test_each_trial_is_assigned_once(self) -> None:
        trials, one, other = open_study(4), WorkerLock("s"), WorkerLock("s")
        assert [trial.number for trial in trials.claim(one, 3, 2)] == [0, 1]
        assert [trial.number for trial in TrialQueue.load("s").claim(other, 3, 2)] == [2]
        assert trials.claim(one, 3) == []
        assert trial_states(trials) == ["RUNNING"] * 3 + ["WAITING"]

    def test_trials_of_a_killed_worker_are_free_and_keep_their_folds(self) -> None:
        trials = open_study(3)
        trials.storage.set_trial_user_attr(trials.get_trials()[0]._trial_id, FOLD_SCORES, [{"accuracy": 0.5}])
        kill_worker(2)
        assert trial_states(trials) == ["RUNNING", "RUNNING", "WAITING"]
        release_dead(trials)
        assert trial_states(trials) == ["WAITING"] * 3
        (frozen,) = trials.claim(WorkerLock("s"), 3, 3)  # alone: it may be the reason for the death
        assert frozen.number == 0
        assert trials.get_trials()[0].user_attrs[FOLD_SCORES] == [{"accuracy": 0.5}]

    def test_trials_of_a_living_worker_are_not_free(self) -> None:
        trials, worker = open_study(1), WorkerLock("s")
        trials.claim(worker, 1)
        release_dead(TrialQueue.load("s"))
        assert trial_states(trials) == ["RUNNING"]
        assert is_alive("s", worker.name) is True

    def test_trial_fails_after_several_deaths(self) -> None:
        trials = open_study(2)
        for death in range(1, MAX_ATTEMPTS + 1):
            kill_worker()
            release_dead(trials)
            assert trials.get_trials()[0].user_attrs[WORKER_DEATHS] == [[0, 0], death]
        assert trial_states(trials) == ["FAIL", "WAITING"]
        assert (
            trials.get_trials()[0].user_attrs[REASON].startswith(f"{MAX_ATTEMPTS} workers in a row died while running")
        )

    def test_finished_fold_resets_the_deaths(self) -> None:
        trials = open_study(1)
        for folds in range(2):
            kill_worker()
            release_dead(trials)
            assert trials.get_trials()[0].user_attrs[WORKER_DEATHS] == [[folds, 0], 1]
            trials.storage.set_trial_user_attr(trials.get_trials()[0]._trial_id, FOLD_SCORES, [{}] * (folds + 1))
        assert trial_states(trials) == ["WAITING"]

    def test_new_checkpoint_resets_the_deaths(self) -> None:
        trials = open_study(1)
        newest = trials.work_dir(0) / "fold-0" / LATEST_NAME
        for deaths in (1, 2, 1, 2):
            if deaths == 1:
                SafetensorsCheckpointIO().save_checkpoint({"epoch": 1}, newest)
            newest.with_suffix(".tmp").touch()  # an incomplete one does not count
            kill_worker()
            release_dead(trials)
            assert trials.get_trials()[0].user_attrs[WORKER_DEATHS] == [[0, newest.stat().st_mtime_ns], deaths]

    def test_released_trials_count_no_death(self) -> None:
        trials, worker = open_study(2), WorkerLock("s")
        claimed = trials.claim(worker, 2, 2)
        trials.finish(Trial(trials.study, claimed[0]._trial_id), [1.0], TrialState.COMPLETE)
        trials.release(claimed, worker)
        assert trial_states(trials) == ["COMPLETE", "WAITING"]
        assert WORKER_DEATHS not in trials.get_trials()[1].user_attrs

    def test_worker_that_lost_a_trial_cannot_finish_or_release_it(self) -> None:
        trials, late, other = open_study(1), WorkerLock("s"), WorkerLock("s")
        claimed = trials.claim(late, 1)
        running = Trial(trials.study, claimed[0]._trial_id)
        trials.require_owned(running)
        trials.storage.set_trial_state_values(claimed[0]._trial_id, TrialState.WAITING)
        with pytest.raises(TrialLost):
            trials.require_owned(running)
        trials.claim(other, 1)
        with pytest.raises(TrialLost):
            trials.finish(running, [1.0], TrialState.COMPLETE)
        trials.release(claimed, late)
        assert trial_states(trials) == ["RUNNING"]
        assert trials.get_trials()[0].user_attrs[WORKER] == other.name

    def test_only_one_of_two_workers_claims_a_trial(self) -> None:
        trials, one, other = open_study(1), WorkerLock("s"), WorkerLock("s")
        (frozen,) = trials.get_trials()
        assert trials._claim_trial(frozen, one)
        assert not TrialQueue.load("s")._claim_trial(frozen, other)
        assert trials.get_trials()[0].user_attrs[WORKER] == one.name

    def test_trial_of_a_worker_that_died_while_claiming_is_free(self, storage_kind: str) -> None:
        trials, _ = open_study(1), WorkerLock("s")
        trials.storage.set_trial_state_values(trials.get_trials()[0]._trial_id, TrialState.RUNNING)
        release_dead(trials)
        # a database waits for missing heartbeats
        assert trial_states(trials) == (["WAITING"] if storage_kind == "journal" else ["RUNNING"])

    def test_study_keeps_its_configuration(self) -> None:
        trials, worker = open_study(1), WorkerLock("s")
        (frozen,) = trials.claim(worker, 1)
        trials.finish(Trial(trials.study, frozen._trial_id), [1.0], TrialState.COMPLETE)
        assert trial_states(open_study(1)) == ["COMPLETE"]
        with pytest.raises(ParamsError) as refused:
            open_study(1, model={"network.hidden": [16]}, data_digest="abc")
        assert str(refused.value) == (
            "study 's' must keep its configuration, but model.network.hidden was [8] and is [16]; the data changed"
            " (other seed, split or file); restore it or run another study: fivefold study run net --name s-2"
        )

    def test_study_without_results_restarts_with_other_params(self, capsys: pytest.CaptureFixture[str]) -> None:
        trials, worker = open_study(2), WorkerLock("s")
        (frozen,) = trials.claim(worker, 1)
        with pytest.raises(ParamsError, match="seed was 1 and is 2"):  # a worker is running a trial
            open_study(2, seed=2)
        trials.finish(Trial(trials.study, frozen._trial_id), None, TrialState.FAIL)
        anew = open_study(2, seed=2)
        assert "study s had no results; restarted with the current params.yaml" in capsys.readouterr().out
        assert trial_states(anew) == ["WAITING"] * 2
        assert trial_states(open_study(2, seed=2)) == ["WAITING"] * 2

    def test_five_failures_in_a_row_are_a_reason_to_stop(self) -> None:
        trials, worker = open_study(12), WorkerLock("s")
        ends = [TrialState.FAIL] * 4 + [TrialState.COMPLETE] + [TrialState.FAIL] * 5
        for n, state in enumerate(ends):
            assert trials.failure_streak(()) == ""
            (frozen,) = trials.claim(worker, 12)
            trial = Trial(trials.study, frozen._trial_id)
            trial.set_user_attr(REASON, f"reason {n}")
            trials.finish(trial, [0.0] if state == TrialState.COMPLETE else None, state)
        assert trials.failure_streak(()) == (
            "5 trials in a row failed, the last one, trial 9, because of: reason 9; fix the cause or narrow the ranges"
            " in `search`"
        )
        assert trials.failure_streak(trials.finished_numbers()) == ""


@pytest.mark.usefixtures("storage_kind")
def test_concurrent_workers_share_the_trials() -> None:
    trials = open_study(8)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_run_all) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert trial_states(trials) == ["COMPLETE"] * 8


def _run_all() -> None:
    trials, worker = TrialQueue.load("s"), WorkerLock("s")
    while claimed := trials.claim(worker, 8):
        trials.finish(Trial(trials.study, claimed[0]._trial_id), [1.0], TrialState.COMPLETE)


def test_concurrent_processes_create_one_storage(storage_kind: str) -> None:
    context = multiprocessing.get_context("fork")
    openers = [context.Process(target=open_study, args=(3,)) for _ in range(3)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()
    assert [opener.exitcode for opener in openers] == [0] * 3, storage_kind
    assert trial_states(TrialQueue.load("s")) == ["WAITING"] * 3


def test_missing_study_is_named(storage_kind: str) -> None:
    with pytest.raises(ParamsError, match=r"study 'none' must exist, but .* run `fivefold study run none`"):
        TrialQueue.load("none")
    assert storage_kind
