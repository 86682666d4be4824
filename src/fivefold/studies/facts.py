"""Read what a study found from its trials."""

import math
from collections.abc import Iterator
from datetime import datetime
from statistics import fmean, stdev
from typing import Any, Literal

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ..config.search import ranges_of
from ..tracking.study_results import State, StudyFacts, TrialFacts
from .kept import CURVE, FOLDS, HOW, IDENTITY, MARK, OWN, REASON, SECONDS, TOTAL, VALUES
from .storage import where
from .trials import Trials

STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def facts(trials: Trials) -> StudyFacts:
    """Return what is known of a study by now."""
    identity = trials.study.user_attrs[IDENTITY]
    metric, objectives = identity["study"]["metric"], tuple(identity["study"]["objectives"])
    more = [direction == StudyDirection.MAXIMIZE for direction in trials.study.directions]
    every = tuple(_trial(each, metric) for each in trials.all())
    total = trials.study.user_attrs.get(TOTAL, len(every))
    every = tuple(trial for trial in every if trial.state != "waiting" or trial.number < total)  # others: nobody asks
    complete = [trial for trial in every if trial.state == "complete"]
    better: Literal["higher", "lower"] = identity["study"]["better"]
    best, how = trials.best(), trials.study.user_attrs.get(HOW, {})
    return StudyFacts(
        mark=trials.study.user_attrs[MARK],
        name=trials.name,
        model=identity["name"],
        metric=metric,
        better=better,
        objectives=objectives,
        sampler=how.get("sampler"),
        prune=how.get("prune"),
        folds=identity["study"]["folds"],
        seed=identity["seed"],
        where=where(trials.name),
        search=identity["search"],
        total=total,
        trials=every,
        best=None if best is None else best.number,
        front=tuple(_front(complete, more)),
        baseline=next((trial.number for trial in complete if trial.own), None),
    )


def _trial(trial: FrozenTrial, metric: str) -> TrialFacts:
    known: dict[str, Any] = trial.user_attrs
    folds = tuple(float(each[metric]) for each in known.get(FOLDS, []))
    return TrialFacts(
        number=trial.number,
        state=STATES[trial.state],
        values=known.get(VALUES, {}),
        score=fmean(folds) if folds else None,
        deviation=stdev(folds) if len(folds) > 1 else None,
        folds=folds,
        curve=tuple(float(each) if math.isfinite(each) else None for each in known.get(CURVE, [])),
        objectives=tuple(trial.values) if trial.state == TrialState.COMPLETE else (),
        own=bool(known.get(OWN)),
        reason=known.get(REASON, ""),
        seconds=float(known.get(SECONDS, 0)),
        began=_milliseconds(trial.datetime_start),
        ended=_milliseconds(trial.datetime_complete),
    )


def _milliseconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)


def _front(complete: list[TrialFacts], more: list[bool]) -> Iterator[int]:
    """Yield the trials that no other is at least as good as in all objectives and better than in one."""
    points = {
        trial.number: [value if up else -value for value, up in zip(trial.objectives, more, strict=True)]
        for trial in complete
    }
    for number, mine in points.items():
        others = (other for other in points.values() if other != mine)
        if not any(all(theirs >= own for theirs, own in zip(other, mine, strict=True)) for other in others):
            yield number


def ranges(study: StudyFacts) -> dict[str, Any]:
    """Return the ranges of a study by dotted key."""
    return dict(ranges_of(study.search))
