"""What a study costs beside its trainings: places, values, scores and decisions, kept in a journal.

500 trials of a model that costs nothing, five folds each, as a worker runs them; then a study of the default mlp, whose
trainings are real. TPE's own thinking is told apart: it is no bookkeeping.
"""

import contextlib
import io
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import optuna
from optuna import Trial
from optuna.trial import TrialState

from fivefold.tuning import pruners
from fivefold.tuning.execution import storage
from fivefold.tuning.execution.liveness import WorkerLock
from fivefold.tuning.execution.run import open_study
from fivefold.tuning.execution.trials import TrialQueue
from fivefold.tuning.execution.worker import run_worker
from fivefold.tuning.identity import COMPUTE_SECONDS, FOLD_SCORES, INTERMEDIATE_VALUES, MEAN_SCORES, TRIAL_PARAMS
from fivefold.tuning.samplers import build_sampler

from .bench_chaos import FOLDS_A_TRIAL, MODEL, project
from .measure import Result, finish, seconds, table

TRIALS, KEYS, FOLDS_EACH, EPOCHS = 500, 6, 5, 50
REAL = 8
"""Trials of the real study."""


class Spent(dict[str, list[float]]):
    """Seconds of each kind of work, call by call."""

    @contextlib.contextmanager
    def on(self, what: str) -> Any:
        started = time.perf_counter()
        yield
        self.setdefault(what, []).append(time.perf_counter() - started)

    def a_trial(self, what: str) -> float:
        """Return milliseconds a trial."""
        return 1000 * sum(self[what]) / TRIALS


def keep_books() -> Spent:
    """Run trials that cost nothing; return what they cost all the same."""
    spent = Spent()
    trials = TrialQueue.open("books", {"study": {"metric": "accuracy", "objectives": ["score"]}}, ["maximize"])
    worker = WorkerLock("books")
    with spent.on("places"):
        trials.enqueue(TRIALS, [])
    for _ in range(TRIALS):
        with spent.on("take"):
            (place,) = trials.claim(worker, TRIALS)
        trials.study.sampler = optuna.samplers.RandomSampler(seed=place.number)
        trial = Trial(trials.study, place._trial_id)
        with spent.on("values"):
            tried = {f"x{i}": trial.suggest_float(f"x{i}", 0, 1) for i in range(KEYS)}
            trial.set_user_attr(TRIAL_PARAMS, tried)
        found: list[dict[str, float]] = []
        for number in range(1, FOLDS_EACH + 1):
            with spent.on("folds"):
                found.append({"accuracy": 0.9, "macro_f1": 0.9, "log_loss": 0.3})
                trials.require_owned(trial)
                trial.set_user_attr(FOLD_SCORES, found)
                trial.report(sum(tried.values()), number)
        with spent.on("end"):
            trial.set_user_attr(INTERMEDIATE_VALUES, [0.5] * EPOCHS)
            trial.set_user_attr(MEAN_SCORES, found[0])
            trial.set_user_attr(COMPUTE_SECONDS, 1.0)
            trials.finish(trial, [sum(tried.values())], TrialState.COMPLETE)
    worker.release()
    return spent


def think() -> float:
    """Return the milliseconds that TPE takes to choose the values of one more trial, median of five."""
    trials, times = TrialQueue.load("books"), []
    for number in range(5):
        trials.study.sampler = build_sampler("tpe", 1, number)
        trial = trials.study.ask()
        times.append(seconds(lambda: [trial.suggest_float(f"x{i}", 0, 1) for i in range(KEYS)]))  # noqa: B023
        trials.study.tell(trial, state=TrialState.FAIL)
    return 1000 * median(times)


def decide() -> float:
    """Return the milliseconds that an epoch of a first fold costs: whether it is to be given up."""
    curves = [each.user_attrs[INTERMEDIATE_VALUES] for each in TrialQueue.load("books").get_trials(TrialState.COMPLETE)]
    started = time.perf_counter()
    reached, curve = pruners.compute_median_curve(curves), list[float]()
    for _ in range(EPOCHS):
        curve.append(0.6)
        pruners.is_below_median(curve, reached, EPOCHS)
    return 1000 * (time.perf_counter() - started) / EPOCHS


def learn() -> float:
    """Return the seconds that a trial of a real study takes, trained fold by fold."""
    _, _, total = open_study(MODEL, MODEL, REAL)
    with contextlib.redirect_stdout(io.StringIO()):
        spent = seconds(lambda: run_worker(MODEL, MODEL, total, vectorize=False))
    return spent / REAL


def main() -> int:
    os.environ.pop(storage.STORAGE_VARIABLE, None)
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        project(Path("real"), epochs=40)
        books = keep_books()
        tpe, decision = think(), decide()
        with contextlib.chdir("real"):
            real = learn()
    parts = {what: books.a_trial(what) for what in ("places", "take", "values", "folds", "end")}
    total = sum(parts.values())
    rows = [(f"{what}, ms a trial", spent) for what, spent in parts.items()]
    report = 1000 * median(books["folds"])
    rows += [("bookkeeping, ms a trial", total), ("a fold told, ms", report), ("TPE, ms a trial", tpe)]
    rows += [("pruning decision, ms an epoch", decision), (f"real trial of {FOLDS_A_TRIAL} folds, s", real)]
    print(table(("what", "mean"), rows))
    measured = {"trials": TRIALS, "milliseconds": parts, "fold_told": report, "tpe": tpe, "real_trial_seconds": real}
    return finish(
        "studies",
        measured,
        [
            Result("study_bookkeeping_milliseconds", total, 25),
            Result("study_report_milliseconds", decision, 0.5),
            Result("study_bookkeeping_share", total / 1000 / real, 0.05),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
