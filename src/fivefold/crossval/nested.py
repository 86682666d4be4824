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
from ..folds import NOTHING
from ..tuning.execution.objective import Running
from ..tuning.execution.trials import Trials
from ..tuning.execution.vectorized import BATCH, run_together, stackable
from ..tuning.identity import REASON, VALUES
from ..tuning.samplers import Sampling
from ..tuning.search import Search
from .crossval import Crossval, Division, Result, Winner, judge
from .jobs import Trained, train_all


def result(crossval: Crossval, name: str, division: Division, work: Path) -> Result:
    """Search on the training rows of a fold, train the winner on them, and score it on the rows held out.

    Raises:
        DataError: the rows do not suffice for the inner folds.
    """
    started = time.monotonic()
    search = _search(crossval, name, division)
    trials = _run(search, f"{crossval.plan.title}-{division.repeat}-{division.fold}", crossval.plan.trials)
    best = trials.best()
    if best is None or best.value is None:
        job = crossval.job(division, search.space.base, division.seed)
        last = trials.all()[-1].user_attrs.get(REASON, "it has no score")
        why = f"no trial of {len(trials.all())} has a score, the last one since {last}"
        return judge(name, division, job, Trained(None, [], 0, time.monotonic() - started, why))
    values: dict[str, Any] = best.user_attrs[VALUES]
    job = crossval.job(division, search.space.model(values), division.seed)
    ((_, done),) = train_all(name, [job], work)
    winner = Winner(
        values=values,
        metric=search.goal.name,
        inner=best.value,
        trials=len(trials.all()),
        ended=len(trials.all(TrialState.COMPLETE)),
    )
    return judge(name, division, job, replace(done, seconds=time.monotonic() - started), winner)


def _search(crossval: Crossval, name: str, division: Division) -> Search:
    """Return the search of a model whose rows are the training rows of a fold alone."""
    space = crossval.spaces[name]
    parts = {"train": division.train, "validation": division.aside, "test": NOTHING}
    return Search(replace(space, tree={**space.tree, "seed": division.seed}), replace(crossval.rows, parts=parts))


def _run(search: Search, title: str, asked: int | None) -> Trials:
    """Run a study that is kept in memory."""
    total = asked or search.study.trials
    sampling = Sampling.of(search.study, search.space, total)
    study = optuna.create_study(directions=search.directions(), sampler=optuna.samplers.RandomSampler())
    trials = Trials(title, study)
    shutil.rmtree(paths.study(title), ignore_errors=True)  # checkpoints of one that was killed
    for values in search.space.first():
        study.enqueue_trial(values)
    total = sampling.most(total, trials.all())
    together = stackable(search)
    size = BATCH if together else 1
    for start in range(0, total, size):
        every = []
        for number in range(start, min(start + size, total)):
            study.sampler = sampling.sampler(number, trials.all())
            every.append(Running(search, trials, study.ask()))
            search.space.suggest(every[-1].trial)  # its values are chosen: the next one's sampler sees them
        for number, state in enumerate(run_together(every) if together else [one.run() for one in every], start):
            print(f"{title}: trial {number}: {state.name.lower()}", flush=True)
    shutil.rmtree(paths.study(title), ignore_errors=True)
    return trials
