"""A search within each outer fold: an estimate that the search has not touched.

The best score of a search is too good: it was chosen, and of many scores the best one is lucky too. Here the search
sees the training rows of a fold alone, and its winner, trained on these, is scored on the rows that the fold holds out.

Source: Cawley & Talbot 2010, On over-fitting in model selection; Varma & Simon 2006, Bias in error estimation.
"""

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from .. import paths
from ..folds import EMPTY_INDICES
from ..tuning.execution.objective import TrialRunner
from ..tuning.execution.trials import TrialQueue
from ..tuning.execution.vectorized import TRIALS_PER_BATCH, can_vectorize, run_vectorized
from ..tuning.identity import REASON, TRIAL_PARAMS
from ..tuning.samplers import SamplerFactory
from ..tuning.search import Search
from .crossval import CrossValidation, FoldResult, FoldSplit, InnerBestTrial, evaluate_fold
from .jobs import TrainingResult, train_jobs


def run_nested_fold(crossval: CrossValidation, model_name: str, fold_split: FoldSplit, work_dir: Path) -> FoldResult:
    """Search on the training rows of a fold, train the winner on them, and score it on the rows held out.

    Raises:
        DataError: the rows do not suffice for the inner folds.
    """
    started = time.monotonic()
    search = _build_search(crossval, model_name, fold_split)
    trials = _run_search(
        search, f"{crossval.plan.file_stem}-{fold_split.repeat}-{fold_split.fold}", crossval.plan.trials
    )
    best = trials.best_trial()
    if best is None or best.value is None:
        job = crossval.build_job(fold_split, search.space.base_model, fold_split.seed)
        last = trials.get_trials()[-1].user_attrs.get(REASON, "it has no score")
        why = f"no trial of {len(trials.get_trials())} has a score, the last one since {last}"
        return evaluate_fold(model_name, fold_split, job, TrainingResult(None, [], 0, time.monotonic() - started, why))
    values: dict[str, Any] = best.user_attrs[TRIAL_PARAMS]
    job = crossval.build_job(fold_split, search.space.build_model(values), fold_split.seed)
    ((_, done),) = train_jobs(model_name, [job], work_dir)
    winner = InnerBestTrial(
        params=values,
        metric=search.objective_metric.name,
        inner_score=best.value,
        n_trials=len(trials.get_trials()),
        n_complete=len(trials.get_trials(TrialState.COMPLETE)),
    )
    return evaluate_fold(model_name, fold_split, job, replace(done, seconds=time.monotonic() - started), winner)


def _build_search(crossval: CrossValidation, model_name: str, fold_split: FoldSplit) -> Search:
    """Return the search of a model whose rows are the training rows of a fold alone."""
    space = crossval.search_spaces[model_name]
    parts = {"train": fold_split.train, "validation": fold_split.validation, "test": EMPTY_INDICES}
    return Search(
        replace(space, tree={**space.tree, "seed": fold_split.seed}), replace(crossval.split_dataset, indices=parts)
    )


def _run_search(search: Search, study_name: str, n_trials: int | None) -> TrialQueue:
    """Run a study that is kept in memory."""
    total = n_trials or search.study.n_trials
    sampling = SamplerFactory.from_study(search.study, search.space, total)
    study = optuna.create_study(directions=search.directions(), sampler=optuna.samplers.RandomSampler())
    trials = TrialQueue(study_name, study)
    shutil.rmtree(paths.study_dir(study_name), ignore_errors=True)  # checkpoints of one that was killed
    for values in search.space.initial_trials():
        study.enqueue_trial(values)
    total = sampling.max_trials(total, trials.get_trials())
    together = can_vectorize(search)
    size = TRIALS_PER_BATCH if together else 1
    for start in range(0, total, size):
        every = []
        for number in range(start, min(start + size, total)):
            study.sampler = sampling.sampler_for_trial(number, trials.get_trials())
            every.append(TrialRunner(search, trials, study.ask()))
            search.space.suggest(every[-1].trial)  # its values are chosen: the next one's sampler sees them
        for number, state in enumerate(run_vectorized(every) if together else [one.run() for one in every], start):
            print(f"{study_name}: trial {number}: {state.name.lower()}", flush=True)
    shutil.rmtree(paths.study_dir(study_name), ignore_errors=True)
    return trials
