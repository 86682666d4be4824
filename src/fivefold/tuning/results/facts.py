"""Read what a study found from its trials.

What is to be made of a study: what its trials ended of, which keys matter, how much was gained.

Which keys matter: functional ANOVA (Hutter et al. 2014) of the ranks of trials.

Ranks, not scores: a few trials that learn nothing would be all the variance of the scores, and most trials are pruned,
of which only their place is known.

Chosen over PED-ANOVA by trial: of six keys of which one matters most, 20 trials that a sampler chose had fANOVA name
that one first in 7 of 8 studies, PED-ANOVA in 3 to 4 of 8; samplers crowd the good values, of which PED-ANOVA takes the
best tenth.
"""

import math
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from statistics import fmean, median_low, stdev
from typing import Any, Literal

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from ...config.search import Categorical, Float, Int, ranges_of
from ...errors import ParamsError
from ...tracking.study_results import Found, Gain, Group, Importance, State, StudyFacts, TrialFacts
from ..distributions import distributions_of, encoded
from ..execution.liveness import lives
from ..execution.storage import where
from ..execution.trials import Trials
from ..formatting import rounded
from ..identity import CURVE, FOLDS, HOW, IDENTITY, MARK, OWN, REASON, SECONDS, TOTAL, VALUES, WORKER
from ..space import Space, Values

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


METHOD = "fANOVA of ranks"
FEWEST, EACH = 12, 2
"""Trials without which shares say nothing; of many keys, so many for each."""


def importance(study: StudyFacts) -> Importance:
    """Return the share of the differences in rank that each key explains.

    A key that is not tried in every trial counts where it is not as if it had its median, which changes nothing there.
    """
    searched = ranges(study)
    ranked = list(ranks(study))
    fewest = max(FEWEST, EACH * len(searched))
    shares: dict[str, float] = {}
    note = ""
    if len(ranked) < fewest:
        note = f"too few trials: {len(ranked)} can be ranked, and with fewer than {fewest} shares would be chance"
    elif len({rank for _, rank in ranked}) == 1:
        note = "all trials are equally good"
    elif len(searched) == 1:
        shares = dict.fromkeys(searched, 1.0)
    else:
        shares = _shares(searched, ranked)
    return Importance(method=METHOD, trials=len(ranked), shares=shares, note=note)


def ranks(study: StudyFacts) -> Iterator[tuple[TrialFacts, float]]:
    """Yield the trials that were judged, complete or pruned, with their ranks: 0 is the worst, equals share one.

    A trial with some folds is compared by these with the best one's. Those without a finished fold rank behind, by
    what they reached in as many epochs as all of them had.
    """
    best = next(iter(study.ranked()), None)
    tried = study.of("complete", "pruned")
    early = [trial for trial in tried if not trial.folds and any(each is not None for each in trial.curve)]
    epochs = min((len(trial.curve) for trial in early), default=0)
    places: list[tuple[TrialFacts, tuple[int, float]]] = []
    for trial in tried:
        if trial.folds and best is not None:
            pairs = zip(trial.folds, best.folds, strict=False)
            places.append((trial, (1, fmean(study.sign * (mine - theirs) for mine, theirs in pairs))))
    places += [(trial, (0, max(each for each in trial.curve[:epochs] if each is not None))) for trial in early]
    order = sorted({place for _, place in places})
    for trial, place in places:
        yield trial, float(order.index(place))


def _shares(
    searched: Mapping[str, Float | Int | Categorical], ranked: list[tuple[TrialFacts, float]]
) -> dict[str, float]:
    known = {key: [trial.values[key] for trial, _ in ranked if key in trial.values] for key in searched}
    usual = {key: _usual(searched[key], values) for key, values in known.items() if values}
    ways = {key: way for key, way in distributions_of(searched).items() if key in usual}
    copy = optuna.create_study()
    for trial, rank in ranked:
        values = {key: encoded(trial.values.get(key, other)) for key, other in usual.items()}
        copy.add_trial(create_trial(params=values, distributions=ways, value=rank))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        shares = get_param_importances(copy, evaluator=FanovaImportanceEvaluator(seed=0))
    return {key: float(share) for key, share in shares.items()} | {key: 0.0 for key in searched if key not in usual}


def _usual(found: Float | Int | Categorical, values: list[Any]) -> Any:
    """Return the median of numbers; of choices the commonest."""
    return max(values, key=values.count) if isinstance(found, Categorical) else median_low(values)


COUNTED: tuple[State, ...] = ("complete", "pruned", "failed", "running", "waiting")


def found(trials: Trials) -> Found:
    """Return what a study has found by now."""
    study = facts(trials)
    workers = {trial.number: trial.user_attrs.get(WORKER, "") for trial in trials.all()}
    counts = Counter(trial.state for trial in study.trials)
    counts["waiting"] += max(0, study.total - len(study.trials))  # places that are made when they are needed
    return Found(
        **dict(study),
        counts={state: counts[state] for state in COUNTED},
        lost=sum(lives(study.name, workers[trial.number]) is False for trial in study.of("running")),
        pruned=tuple(pruned(study)),
        failed=tuple(failed(study)),
        importance=importance(study),
        gain=gain(study),
        differs=differs(study),
    )


def pruned(study: StudyFacts) -> Iterable[Group]:
    """Yield groups of pruned trials: those given up within their first fold, then those after 2 folds, 3, ..."""
    every = study.of("pruned")
    early = [trial for trial in every if not trial.folds]
    if early:
        epochs = sorted(int(number) for trial in early for number in re.findall(r"^after (\d+) epochs", trial.reason))
        spread = (
            f"{epochs[0]} to {epochs[-1]}"
            if epochs and epochs[0] < epochs[-1]
            else f"{epochs[0] if epochs else 'some'}"
        )
        yield _group(f"after {spread} epochs of the first fold (below the median)", early)
    for folds in sorted({len(trial.folds) for trial in every if trial.folds}):
        same = [trial for trial in every if len(trial.folds) == folds]
        yield _group(f"by the paired test after {folds} folds", same)


def failed(study: StudyFacts) -> Iterable[Group]:
    """Yield groups of failed trials whose reasons differ in numbers alone, the largest first."""
    kinds: dict[str, list[TrialFacts]] = {}
    for trial in study.of("failed"):
        kinds.setdefault(re.sub(r"[-+]?\d[\d.]*(e[-+]?\d+)?", "#", trial.reason), []).append(trial)
    for same in sorted(kinds.values(), key=len, reverse=True):
        yield _group(same[0].reason or "its worker died", same)


def _group(text: str, trials: list[TrialFacts]) -> Group:
    return Group(text=text, trials=tuple(trial.number for trial in trials))


def gain(study: StudyFacts) -> Gain | None:
    """Return how much better the best trial is than the baseline; None without one of them, or if it is the best."""
    best, base = study.trial(study.best), study.trial(study.baseline)
    if best is None or base is None or best is base or len(best.folds) != len(base.folds):
        return None
    folds = [study.sign * (mine - theirs) for mine, theirs in zip(best.folds, base.folds, strict=True)]
    return Gain(mean=fmean(folds), folds=tuple(folds), better=sum(each > 0 for each in folds))


def differs(study: StudyFacts) -> dict[str, tuple[Any, Any]]:
    """Return the values of the best trial, as they would be adopted, that params.yaml has not, beside what it has."""
    best = study.trial(study.best)
    now = params_values(study)
    if best is None or now is None:
        return {}
    wanted = rounded(ranges(study), best.values)
    return {key: (now.get(key), value) for key, value in wanted.items() if now.get(key) != value}


def params_values(study: StudyFacts) -> Values | None:
    """Return what params.yaml has now of the keys that are searched; None if it has not the model, or breaks a rule."""
    try:
        space = Space.read(study.model)
    except ParamsError:
        return None
    return {key: space.defaults.get(key) for key in ranges(study)}
