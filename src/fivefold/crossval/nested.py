"""Nested cross-validation: a search within each outer fold, and an estimate that does not depend on the search.

The best score of a search is optimistic, because it was selected as the maximum of many. Here the search uses only the
training and validation rows of a fold; its best trial is trained on them and evaluated on the fold's test rows.

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
    """Search on the training and validation rows of a fold, train the best trial on them, and evaluate it on test rows.

    Raises:
        DataError: there are too few rows for the inner folds.
    """
    started = time.monotonic()
    search = _build_search(crossval, model_name, fold_split)
    trials = _run_search(
        search, f"{crossval.plan.file_stem}-{fold_split.repeat}-{fold_split.fold}", crossval.plan.trials
    )
    best = trials.best_trial()
    if best is None or best.value is None:
        job = crossval.build_job(fold_split, search.space.base_model, fold_split.seed)
        reason = trials.get_trials()[-1].user_attrs.get(REASON, "no score")
        error = f"none of {len(trials.get_trials())} trials is complete, the last one because of: {reason}"
        result = TrainingResult(None, [], 0, time.monotonic() - started, error)
        return evaluate_fold(model_name, fold_split, job, result)
    values: dict[str, Any] = best.user_attrs[TRIAL_PARAMS]
    job = crossval.build_job(fold_split, search.space.build_model(values), fold_split.seed)
    ((_, result),) = train_jobs(model_name, [job], work_dir)
    best_trial = InnerBestTrial(
        params=values,
        metric=search.objective_metric.name,
        inner_score=best.value,
        n_trials=len(trials.get_trials()),
        n_complete=len(trials.get_trials(TrialState.COMPLETE)),
    )
    result = replace(result, seconds=time.monotonic() - started)
    return evaluate_fold(model_name, fold_split, job, result, best_trial)


def _build_search(crossval: CrossValidation, model_name: str, fold_split: FoldSplit) -> Search:
    """Return the search of a model on the training and validation rows of a fold."""
    space = crossval.search_spaces[model_name]
    indices = {"train": fold_split.train, "validation": fold_split.validation, "test": EMPTY_INDICES}
    return Search(
        replace(space, tree={**space.tree, "seed": fold_split.seed}),
        replace(crossval.split_dataset, indices=indices),
    )


def _run_search(search: Search, study_name: str, n_trials: int | None) -> TrialQueue:
    """Run a study with in-memory storage; return its trials."""
    total = n_trials or search.study.n_trials
    sampler_factory = SamplerFactory.from_study(search.study, search.space, total)
    study = optuna.create_study(directions=search.directions(), sampler=optuna.samplers.RandomSampler())
    trials = TrialQueue(study_name, study)
    shutil.rmtree(paths.study_dir(study_name), ignore_errors=True)  # checkpoints of a killed run
    for values in search.space.initial_trials():
        study.enqueue_trial(values)
    total = sampler_factory.max_trials(total, trials.get_trials())
    vectorize = can_vectorize(search)
    batch_size = TRIALS_PER_BATCH if vectorize else 1
    for start in range(0, total, batch_size):
        runners = []
        for number in range(start, min(start + batch_size, total)):
            study.sampler = sampler_factory.sampler_for_trial(number, trials.get_trials())
            runners.append(TrialRunner(search, trials, study.ask()))
            search.space.suggest(runners[-1].trial)  # stored, so that the sampler of the next trial knows the values
        states = run_vectorized(runners) if vectorize else [runner.run() for runner in runners]
        for number, state in enumerate(states, start):
            print(f"{study_name}: trial {number}: {state.name.lower()}", flush=True)
    shutil.rmtree(paths.study_dir(study_name), ignore_errors=True)
    return trials
