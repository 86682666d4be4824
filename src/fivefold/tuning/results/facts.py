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

from ...config.search import CategoricalRange, FloatRange, IntRange, parse_ranges
from ...errors import ParamsError
from ...tracking.study_results import (
    FailureGroup,
    Importance,
    Improvement,
    StudyResult,
    StudySummary,
    TrialResult,
    TrialStatus,
)
from ..distributions import encode_choice, to_distributions
from ..execution.liveness import is_alive
from ..execution.storage import storage_location
from ..execution.trials import TrialQueue
from ..formatting import round_values
from ..identity import (
    COMPUTE_SECONDS,
    FOLD_SCORES,
    IDENTITY,
    INTERMEDIATE_VALUES,
    IS_BASELINE,
    N_TRIALS,
    REASON,
    SEARCH_METHOD,
    TRIAL_PARAMS,
    UNIQUE_ID,
    WORKER,
)
from ..space import ParamValues, SearchSpace

STATE_NAMES: dict[TrialState, TrialStatus] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def summarize_study(trials: TrialQueue) -> StudySummary:
    """Return what is known of a study by now."""
    identity = trials.study.user_attrs[IDENTITY]
    metric, objectives = identity["study"]["metric"], tuple(identity["study"]["objectives"])
    more = [direction == StudyDirection.MAXIMIZE for direction in trials.study.directions]
    every = tuple(_summarize_trial(each, metric) for each in trials.get_trials())
    total = trials.study.user_attrs.get(N_TRIALS, len(every))
    every = tuple(trial for trial in every if trial.state != "waiting" or trial.number < total)  # others: nobody asks
    complete = [trial for trial in every if trial.state == "complete"]
    better: Literal["higher", "lower"] = identity["study"]["better"]
    best, how = trials.best_trial(), trials.study.user_attrs.get(SEARCH_METHOD, {})
    return StudySummary(
        unique_id=trials.study.user_attrs[UNIQUE_ID],
        name=trials.name,
        model=identity["name"],
        metric=metric,
        direction=better,
        objectives=objectives,
        sampler=how.get("sampler"),
        pruner=how.get("pruner"),
        n_folds=identity["study"]["folds"],
        seed=identity["seed"],
        storage_uri=storage_location(trials.name),
        search_space=identity["search"],
        n_trials=total,
        trials=every,
        best_trial_number=None if best is None else best.number,
        pareto_front=tuple(_pareto_front(complete, more)),
        baseline_trial_number=next((trial.number for trial in complete if trial.is_baseline), None),
    )


def _summarize_trial(trial: FrozenTrial, metric: str) -> TrialResult:
    known: dict[str, Any] = trial.user_attrs
    folds = tuple(float(each[metric]) for each in known.get(FOLD_SCORES, []))
    return TrialResult(
        number=trial.number,
        state=STATE_NAMES[trial.state],
        params=known.get(TRIAL_PARAMS, {}),
        score=fmean(folds) if folds else None,
        std=stdev(folds) if len(folds) > 1 else None,
        fold_scores=folds,
        intermediate_values=tuple(
            float(each) if math.isfinite(each) else None for each in known.get(INTERMEDIATE_VALUES, [])
        ),
        objective_values=tuple(trial.values) if trial.state == TrialState.COMPLETE else (),
        is_baseline=bool(known.get(IS_BASELINE)),
        reason=known.get(REASON, ""),
        seconds=float(known.get(COMPUTE_SECONDS, 0)),
        start_time=_to_milliseconds(trial.datetime_start),
        end_time=_to_milliseconds(trial.datetime_complete),
    )


def _to_milliseconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)


def _pareto_front(complete: list[TrialResult], maximize: list[bool]) -> Iterator[int]:
    """Yield the trials that no other is at least as good as in all objectives and better than in one."""
    points = {
        trial.number: [value if up else -value for value, up in zip(trial.objective_values, maximize, strict=True)]
        for trial in complete
    }
    for number, mine in points.items():
        others = (other for other in points.values() if other != mine)
        if not any(all(theirs >= own for theirs, own in zip(other, mine, strict=True)) for other in others):
            yield number


def search_ranges(study: StudySummary) -> dict[str, Any]:
    """Return the ranges of a study by dotted key."""
    return dict(parse_ranges(study.search_space))


IMPORTANCE_METHOD = "fANOVA of ranks"
MIN_TRIALS, MIN_TRIALS_PER_KEY = 12, 2
"""Trials without which shares say nothing; of many keys, so many for each."""


def compute_importance(study: StudySummary) -> Importance:
    """Return the share of the differences in rank that each key explains.

    A key that is not tried in every trial counts where it is not as if it had its median, which changes nothing there.
    """
    searched = search_ranges(study)
    ranked = list(rank_trials(study))
    fewest = max(MIN_TRIALS, MIN_TRIALS_PER_KEY * len(searched))
    shares: dict[str, float] = {}
    note = ""
    if len(ranked) < fewest:
        note = f"too few trials: {len(ranked)} can be ranked, and with fewer than {fewest} shares would be chance"
    elif len({rank for _, rank in ranked}) == 1:
        note = "all trials are equally good"
    elif len(searched) == 1:
        shares = dict.fromkeys(searched, 1.0)
    else:
        shares = _importance_shares(searched, ranked)
    return Importance(method=IMPORTANCE_METHOD, n_trials=len(ranked), importances=shares, note=note)


def rank_trials(study: StudySummary) -> Iterator[tuple[TrialResult, float]]:
    """Yield the trials that were judged, complete or pruned, with their ranks: 0 is the worst, equals share one.

    A trial with some folds is compared by these with the best one's. Those without a finished fold rank behind, by
    what they reached in as many epochs as all of them had.
    """
    best = next(iter(study.ranked_trials()), None)
    tried = study.trials_in_state("complete", "pruned")
    early = [
        trial
        for trial in tried
        if not trial.fold_scores and any(each is not None for each in trial.intermediate_values)
    ]
    epochs = min((len(trial.intermediate_values) for trial in early), default=0)
    places: list[tuple[TrialResult, tuple[int, float]]] = []
    for trial in tried:
        if trial.fold_scores and best is not None:
            pairs = zip(trial.fold_scores, best.fold_scores, strict=False)
            places.append((trial, (1, fmean(study.sign * (mine - theirs) for mine, theirs in pairs))))
    places += [
        (trial, (0, max(each for each in trial.intermediate_values[:epochs] if each is not None))) for trial in early
    ]
    order = sorted({place for _, place in places})
    for trial, place in places:
        yield trial, float(order.index(place))


def _importance_shares(
    param_ranges: Mapping[str, FloatRange | IntRange | CategoricalRange], ranked_trials: list[tuple[TrialResult, float]]
) -> dict[str, float]:
    known = {key: [trial.params[key] for trial, _ in ranked_trials if key in trial.params] for key in param_ranges}
    usual = {key: _typical_value(param_ranges[key], values) for key, values in known.items() if values}
    ways = {key: way for key, way in to_distributions(param_ranges).items() if key in usual}
    copy = optuna.create_study()
    for trial, rank in ranked_trials:
        values = {key: encode_choice(trial.params.get(key, other)) for key, other in usual.items()}
        copy.add_trial(create_trial(params=values, distributions=ways, value=rank))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        shares = get_param_importances(copy, evaluator=FanovaImportanceEvaluator(seed=0))
    return {key: float(share) for key, share in shares.items()} | {key: 0.0 for key in param_ranges if key not in usual}


def _typical_value(param_range: FloatRange | IntRange | CategoricalRange, values: list[Any]) -> Any:
    """Return the median of numbers; of choices the commonest."""
    return max(values, key=values.count) if isinstance(param_range, CategoricalRange) else median_low(values)


COUNTED_STATES: tuple[TrialStatus, ...] = ("complete", "pruned", "failed", "running", "waiting")


def analyze_study(trials: TrialQueue) -> StudyResult:
    """Return what a study has found by now."""
    study = summarize_study(trials)
    workers = {trial.number: trial.user_attrs.get(WORKER, "") for trial in trials.get_trials()}
    counts = Counter(trial.state for trial in study.trials)
    counts["waiting"] += max(0, study.n_trials - len(study.trials))  # places that are made when they are needed
    return StudyResult(
        **dict(study),
        state_counts={state: counts[state] for state in COUNTED_STATES},
        n_lost=sum(is_alive(study.name, workers[trial.number]) is False for trial in study.trials_in_state("running")),
        pruned_groups=tuple(group_pruned(study)),
        failed_groups=tuple(group_failed(study)),
        importance=compute_importance(study),
        improvement=compute_improvement(study),
        param_changes=compare_with_params(study),
    )


def group_pruned(study: StudySummary) -> Iterable[FailureGroup]:
    """Yield groups of pruned trials: those given up within their first fold, then those after 2 folds, 3, ..."""
    every = study.trials_in_state("pruned")
    early = [trial for trial in every if not trial.fold_scores]
    if early:
        epochs = sorted(int(number) for trial in early for number in re.findall(r"^after (\d+) epochs", trial.reason))
        spread = (
            f"{epochs[0]} to {epochs[-1]}"
            if epochs and epochs[0] < epochs[-1]
            else f"{epochs[0] if epochs else 'some'}"
        )
        yield _build_group(f"after {spread} epochs of the first fold (below the median)", early)
    for folds in sorted({len(trial.fold_scores) for trial in every if trial.fold_scores}):
        same = [trial for trial in every if len(trial.fold_scores) == folds]
        yield _build_group(f"by the paired test after {folds} folds", same)


def group_failed(study: StudySummary) -> Iterable[FailureGroup]:
    """Yield groups of failed trials whose reasons differ in numbers alone, the largest first."""
    kinds: dict[str, list[TrialResult]] = {}
    for trial in study.trials_in_state("failed"):
        kinds.setdefault(re.sub(r"[-+]?\d[\d.]*(e[-+]?\d+)?", "#", trial.reason), []).append(trial)
    for same in sorted(kinds.values(), key=len, reverse=True):
        yield _build_group(same[0].reason or "its worker died", same)


def _build_group(text: str, trials: list[TrialResult]) -> FailureGroup:
    return FailureGroup(reason=text, trial_numbers=tuple(trial.number for trial in trials))


def compute_improvement(study: StudySummary) -> Improvement | None:
    """Return how much better the best trial is than the baseline; None without one of them, or if it is the best."""
    best, base = study.get_trial(study.best_trial_number), study.get_trial(study.baseline_trial_number)
    if best is None or base is None or best is base or len(best.fold_scores) != len(base.fold_scores):
        return None
    folds = [study.sign * (mine - theirs) for mine, theirs in zip(best.fold_scores, base.fold_scores, strict=True)]
    return Improvement(
        mean_difference=fmean(folds), fold_differences=tuple(folds), n_better_folds=sum(each > 0 for each in folds)
    )


def compare_with_params(study: StudySummary) -> dict[str, tuple[Any, Any]]:
    """Return the values of the best trial, as they would be adopted, that params.yaml has not, beside what it has."""
    best = study.get_trial(study.best_trial_number)
    now = read_current_values(study)
    if best is None or now is None:
        return {}
    wanted = round_values(search_ranges(study), best.params)
    return {key: (now.get(key), value) for key, value in wanted.items() if now.get(key) != value}


def read_current_values(study: StudySummary) -> ParamValues | None:
    """Return what params.yaml has now of the keys that are searched; None if it has not the model, or breaks a rule."""
    try:
        space = SearchSpace.read(study.model)
    except ParamsError:
        return None
    return {key: space.defaults.get(key) for key in search_ranges(study)}
