"""Overhead of a study besides its trainings: queue, sampling, scores and pruning decisions, with a journal.

500 trials of a model without cost, five folds each, as a worker runs them; then a study of the default mlp with real
trainings. The time of TPE is measured separately: it is not overhead of fivefold.
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
REAL_TRIALS = 8
"""Trials of the study with real trainings."""


class Timer(dict[str, list[float]]):
    """Seconds of each kind of work, call by call."""

    @contextlib.contextmanager
    def measure(self, what: str) -> Any:
        started = time.perf_counter()
        yield
        self.setdefault(what, []).append(time.perf_counter() - started)

    def per_trial(self, what: str) -> float:
        """Return the milliseconds per trial."""
        return 1000 * sum(self[what]) / TRIALS


def measure_overhead() -> Timer:
    """Run trials without trainings and return the time of each kind of work."""
    timer = Timer()
    trials = TrialQueue.open("books", {"study": {"metric": "accuracy", "objectives": ["score"]}}, ["maximize"])
    worker = WorkerLock("books")
    with timer.measure("enqueue"):
        trials.enqueue(TRIALS, [])
    for _ in range(TRIALS):
        with timer.measure("claim"):
            (claimed,) = trials.claim(worker, TRIALS)
        trials.study.sampler = optuna.samplers.RandomSampler(seed=claimed.number)
        trial = Trial(trials.study, claimed._trial_id)
        with timer.measure("sample"):
            params = {f"x{i}": trial.suggest_float(f"x{i}", 0, 1) for i in range(KEYS)}
            trial.set_user_attr(TRIAL_PARAMS, params)
        scores: list[dict[str, float]] = []
        for number in range(1, FOLDS_EACH + 1):
            with timer.measure("folds"):
                scores.append({"accuracy": 0.9, "macro_f1": 0.9, "log_loss": 0.3})
                trials.require_owned(trial)
                trial.set_user_attr(FOLD_SCORES, scores)
                trial.report(sum(params.values()), number)
        with timer.measure("end"):
            trial.set_user_attr(INTERMEDIATE_VALUES, [0.5] * EPOCHS)
            trial.set_user_attr(MEAN_SCORES, scores[0])
            trial.set_user_attr(COMPUTE_SECONDS, 1.0)
            trials.finish(trial, [sum(params.values())], TrialState.COMPLETE)
    worker.release()
    return timer


def measure_tpe() -> float:
    """Return the milliseconds of TPE to sample one more trial, median of five."""
    trials, times = TrialQueue.load("books"), []
    for number in range(5):
        trials.study.sampler = build_sampler("tpe", 1, number)
        trial = trials.study.ask()
        times.append(seconds(lambda: [trial.suggest_float(f"x{i}", 0, 1) for i in range(KEYS)]))  # noqa: B023
        trials.study.tell(trial, state=TrialState.FAIL)
    return 1000 * median(times)


def measure_pruning() -> float:
    """Return the milliseconds of a pruning decision in an epoch of a first fold."""
    trials = TrialQueue.load("books").get_trials(TrialState.COMPLETE)
    curves = [trial.user_attrs[INTERMEDIATE_VALUES] for trial in trials]
    started = time.perf_counter()
    median_curve, curve = pruners.compute_median_curve(curves), list[float]()
    for _ in range(EPOCHS):
        curve.append(0.6)
        pruners.is_below_median(curve, median_curve, EPOCHS)
    return 1000 * (time.perf_counter() - started) / EPOCHS


def measure_real_trial() -> float:
    """Return the seconds per trial of a study with real trainings, fold by fold."""
    _, _, total = open_study(MODEL, MODEL, REAL_TRIALS)
    with contextlib.redirect_stdout(io.StringIO()):
        duration = seconds(lambda: run_worker(MODEL, MODEL, total, vectorize=False))
    return duration / REAL_TRIALS


def main() -> int:
    os.environ.pop(storage.STORAGE_VARIABLE, None)
    with tempfile.TemporaryDirectory() as root, contextlib.chdir(root):
        project(Path("real"), epochs=40)
        overhead = measure_overhead()
        tpe, decision = measure_tpe(), measure_pruning()
        with contextlib.chdir("real"):
            real = measure_real_trial()
    parts = {what: overhead.per_trial(what) for what in ("enqueue", "claim", "sample", "folds", "end")}
    total = sum(parts.values())
    rows = [(f"{what}, ms per trial", duration) for what, duration in parts.items()]
    report = 1000 * median(overhead["folds"])
    rows += [("total overhead, ms per trial", total), ("report of a fold, ms", report), ("TPE, ms per trial", tpe)]
    rows += [("pruning decision, ms per epoch", decision), (f"real trial with {FOLDS_A_TRIAL} folds, s", real)]
    print(table(("what", "mean"), rows))
    measured = {"trials": TRIALS, "milliseconds": parts, "fold_report": report, "tpe": tpe, "real_trial_seconds": real}
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
