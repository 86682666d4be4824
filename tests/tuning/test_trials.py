"""Places of a study: handed out once, free again when a worker dies, told once; in every kind of storage."""

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


def opened(total: int = 0, **changes: Any) -> TrialQueue:
    trials = TrialQueue.open("s", IDENTITY | changes, ["maximize"])
    trials.enqueue(total, [])
    return trials


def states(trials: TrialQueue) -> list[str]:
    return [trial.state.name for trial in trials.get_trials()]


def die(most: int = 1) -> None:
    """Have a worker take places and be killed."""
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_die, args=(most,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def _die(most: int) -> None:
    TrialQueue.load("s").claim(WorkerLock("s"), 10, most)
    os.kill(os.getpid(), signal.SIGKILL)


def free(trials: TrialQueue) -> None:
    with hold_study_lock("s"):
        trials.release_dead()


@pytest.mark.usefixtures("place")
class TestPlaces:
    def test_there_are_as_many_as_were_asked_for_in_all(self) -> None:
        trials = opened(2)
        trials.enqueue(3, [{"x": 1.5}, {"x": 2.5}, {"x": 3.5}, {"x": 4.5}])
        trials.enqueue(1, [])
        assert states(trials) == ["WAITING"] * 3
        assert [trial.system_attrs.get("fixed_params") for trial in trials.get_trials()] == [None, None, {"x": 3.5}]
        assert states(TrialQueue.load("s")) == ["WAITING"] * 3

    def test_each_is_handed_out_once(self) -> None:
        trials, one, other = opened(4), WorkerLock("s"), WorkerLock("s")
        assert [place.number for place in trials.claim(one, 3, 2)] == [0, 1]
        assert [place.number for place in TrialQueue.load("s").claim(other, 3, 2)] == [2]
        assert trials.claim(one, 3) == []
        assert states(trials) == ["RUNNING"] * 3 + ["WAITING"]

    def test_those_of_a_worker_that_was_killed_are_free_again_with_what_it_found(self) -> None:
        trials = opened(3)
        trials.storage.set_trial_user_attr(trials.get_trials()[0]._trial_id, FOLD_SCORES, [{"accuracy": 0.5}])
        die(2)
        assert states(trials) == ["RUNNING", "RUNNING", "WAITING"]
        free(trials)
        assert states(trials) == ["WAITING"] * 3
        (place,) = trials.claim(WorkerLock("s"), 3, 3)  # alone, since its worker died of it or of its neighbour
        assert place.number == 0
        assert trials.get_trials()[0].user_attrs[FOLD_SCORES] == [{"accuracy": 0.5}]

    def test_a_living_worker_s_are_not(self) -> None:
        trials, worker = opened(1), WorkerLock("s")
        trials.claim(worker, 1)
        free(TrialQueue.load("s"))
        assert states(trials) == ["RUNNING"]
        assert is_alive("s", worker.name) is True

    def test_a_trial_of_which_worker_after_worker_dies_has_failed(self) -> None:
        trials = opened(2)
        for death in range(1, MAX_ATTEMPTS + 1):
            die()
            free(trials)
            assert trials.get_trials()[0].user_attrs[WORKER_DEATHS] == [[0, 0], death]
        assert states(trials) == ["FAIL", "WAITING"]
        assert trials.get_trials()[0].user_attrs[REASON].startswith(f"{MAX_ATTEMPTS} workers died of it")

    def test_a_new_fold_is_a_new_beginning(self) -> None:
        trials = opened(1)
        for folds in range(2):
            die()
            free(trials)
            assert trials.get_trials()[0].user_attrs[WORKER_DEATHS] == [[folds, 0], 1]
            trials.storage.set_trial_user_attr(trials.get_trials()[0]._trial_id, FOLD_SCORES, [{}] * (folds + 1))
        assert states(trials) == ["WAITING"]

    def test_a_new_checkpoint_is_a_new_beginning_too(self) -> None:
        trials = opened(1)
        newest = trials.work_dir(0) / "fold-0" / LATEST_NAME
        for deaths in (1, 2, 1, 2):
            if deaths == 1:
                SafetensorsCheckpointIO().save_checkpoint({"epoch": 1}, newest)
            newest.with_suffix(".fresh").touch()  # one that was never whole counts for nothing
            die()
            free(trials)
            assert trials.get_trials()[0].user_attrs[WORKER_DEATHS] == [[0, newest.stat().st_mtime_ns], deaths]

    def test_given_back_they_count_no_death(self) -> None:
        trials, worker = opened(2), WorkerLock("s")
        places = trials.claim(worker, 2, 2)
        trials.finish(Trial(trials.study, places[0]._trial_id), [1.0], TrialState.COMPLETE)
        trials.release(places, worker)
        assert states(trials) == ["COMPLETE", "WAITING"]
        assert WORKER_DEATHS not in trials.get_trials()[1].user_attrs

    def test_a_worker_that_was_taken_for_dead_cannot_tell_or_give_back(self) -> None:
        trials, late, other = opened(1), WorkerLock("s"), WorkerLock("s")
        places = trials.claim(late, 1)
        running = Trial(trials.study, places[0]._trial_id)
        trials.require_owned(running)
        trials.storage.set_trial_state_values(places[0]._trial_id, TrialState.WAITING)
        with pytest.raises(TrialLost):
            trials.require_owned(running)
        trials.claim(other, 1)
        with pytest.raises(TrialLost):
            trials.finish(running, [1.0], TrialState.COMPLETE)
        trials.release(places, late)
        assert states(trials) == ["RUNNING"]
        assert trials.get_trials()[0].user_attrs[WORKER] == other.name

    def test_one_that_two_take_at_once_is_one_s(self) -> None:
        trials, one, other = opened(1), WorkerLock("s"), WorkerLock("s")
        (place,) = trials.get_trials()
        assert trials._claim_trial(place, one)
        assert not TrialQueue.load("s")._claim_trial(place, other)
        assert trials.get_trials()[0].user_attrs[WORKER] == one.name

    def test_one_whose_taker_was_killed_at_once_is_free_again(self, place: str) -> None:
        trials, _ = opened(1), WorkerLock("s")
        trials.storage.set_trial_state_values(trials.get_trials()[0]._trial_id, TrialState.RUNNING)
        free(trials)
        assert states(trials) == (["WAITING"] if place == "journal" else ["RUNNING"])  # until its heart is missed

    def test_a_study_goes_on_as_what_it_is(self) -> None:
        trials, worker = opened(1), WorkerLock("s")
        (place,) = trials.claim(worker, 1)
        trials.finish(Trial(trials.study, place._trial_id), [1.0], TrialState.COMPLETE)
        assert states(opened(1)) == ["COMPLETE"]
        with pytest.raises(ParamsError) as refused:
            opened(1, model={"network.hidden": [16]}, rows="abc")
        assert str(refused.value) == (
            "study 's' must go on as it began, but model.network.hidden was [8] and is [16]; the rows are others"
            " (another seed, split, or file); put that back, or run another study: fivefold study run net --name s-2"
        )

    def test_one_of_which_nothing_came_begins_anew_with_other_params(self, capsys: pytest.CaptureFixture[str]) -> None:
        trials, worker = opened(2), WorkerLock("s")
        (place,) = trials.claim(worker, 1)
        with pytest.raises(ParamsError, match="seed was 1 and is 2"):  # somebody is at it
            opened(2, seed=2)
        trials.finish(Trial(trials.study, place._trial_id), None, TrialState.FAIL)
        anew = opened(2, seed=2)
        assert "s begins anew with what params.yaml says now" in capsys.readouterr().out
        assert states(anew) == ["WAITING"] * 2
        assert states(opened(2, seed=2)) == ["WAITING"] * 2

    def test_five_failures_in_a_row_are_a_reason_to_stop(self) -> None:
        trials, worker = opened(12), WorkerLock("s")
        ends = [TrialState.FAIL] * 4 + [TrialState.COMPLETE] + [TrialState.FAIL] * 5
        for n, state in enumerate(ends):
            assert trials.failure_streak(()) == ""
            (place,) = trials.claim(worker, 12)
            trial = Trial(trials.study, place._trial_id)
            trial.set_user_attr(REASON, f"of reason {n}")
            trials.finish(trial, [0.0] if state == TrialState.COMPLETE else None, state)
        assert trials.failure_streak(()) == (
            "5 trials in a row failed, the last one, number 9, since of reason 9; mend that, or narrow the ranges in"
            " `search`"
        )
        assert trials.failure_streak(trials.finished_numbers()) == ""


@pytest.mark.usefixtures("place")
def test_four_processes_that_take_at_once_share_the_places() -> None:
    trials = opened(8)
    context = multiprocessing.get_context("fork")
    takers = [context.Process(target=_take) for _ in range(4)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert [taker.exitcode for taker in takers] == [0] * 4
    assert states(trials) == ["COMPLETE"] * 8


def _take() -> None:
    trials, worker = TrialQueue.load("s"), WorkerLock("s")
    while places := trials.claim(worker, 8):
        trials.finish(Trial(trials.study, places[0]._trial_id), [1.0], TrialState.COMPLETE)


def test_processes_that_open_a_fresh_storage_at_once_do_not_ruin_it(place: str) -> None:
    context = multiprocessing.get_context("fork")
    openers = [context.Process(target=opened, args=(3,)) for _ in range(3)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()
    assert [opener.exitcode for opener in openers] == [0] * 3, place
    assert states(TrialQueue.load("s")) == ["WAITING"] * 3


def test_a_study_that_never_began_is_named(place: str) -> None:
    with pytest.raises(ParamsError, match=r"study 'none' must have begun, but .* run `fivefold study run none`"):
        TrialQueue.load("none")
    assert place
