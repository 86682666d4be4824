"""Summaries and analyses of studies: trials, parameter importance, pruned and failed trials, improvement.

Parameter importance is fANOVA (Hutter et al. 2014) of the ranks of trials. Ranks instead of scores, because a few
trials that do not converge would account for all the variance of the scores, and because of most trials, which are
pruned, only the rank is known.

fANOVA was chosen over PED-ANOVA by experiment: with 20 sampled trials of six keys, one of which matters most, fANOVA
ranked that key first in 7 of 8 studies, PED-ANOVA in 3 to 4 of 8. PED-ANOVA uses the best tenth of the trials, and
samplers concentrate on good values.
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
    """Return the current state of a study."""
    identity = trials.study.user_attrs[IDENTITY]
    metric, objectives = identity["study"]["metric"], tuple(identity["study"]["objectives"])
    maximize = [direction == StudyDirection.MAXIMIZE for direction in trials.study.directions]
    all_trials = tuple(_summarize_trial(trial, metric) for trial in trials.get_trials())
    total = trials.study.user_attrs.get(N_TRIALS, len(all_trials))
    # without those that are waiting since an earlier run with a larger total
    all_trials = tuple(trial for trial in all_trials if trial.state != "waiting" or trial.number < total)
    complete = [trial for trial in all_trials if trial.state == "complete"]
    direction: Literal["higher", "lower"] = identity["study"]["direction"]
    best, method = trials.best_trial(), trials.study.user_attrs.get(SEARCH_METHOD, {})
    return StudySummary(
        unique_id=trials.study.user_attrs[UNIQUE_ID],
        name=trials.name,
        model=identity["name"],
        metric=metric,
        direction=direction,
        objectives=objectives,
        sampler=method.get("sampler"),
        pruner=method.get("pruner"),
        n_folds=identity["study"]["folds"],
        seed=identity["seed"],
        storage_uri=storage_location(trials.name),
        search_space=identity["search_space"],
        n_trials=total,
        trials=all_trials,
        best_trial_number=None if best is None else best.number,
        pareto_front=tuple(_pareto_front(complete, maximize)),
        baseline_trial_number=next((trial.number for trial in complete if trial.is_baseline), None),
    )


def _summarize_trial(trial: FrozenTrial, metric: str) -> TrialResult:
    attributes: dict[str, Any] = trial.user_attrs
    folds = tuple(float(scores[metric]) for scores in attributes.get(FOLD_SCORES, []))
    return TrialResult(
        number=trial.number,
        state=STATE_NAMES[trial.state],
        params=attributes.get(TRIAL_PARAMS, {}),
        score=fmean(folds) if folds else None,
        std=stdev(folds) if len(folds) > 1 else None,
        fold_scores=folds,
        intermediate_values=tuple(
            float(value) if math.isfinite(value) else None for value in attributes.get(INTERMEDIATE_VALUES, [])
        ),
        objective_values=tuple(trial.values) if trial.state == TrialState.COMPLETE else (),
        is_baseline=bool(attributes.get(IS_BASELINE)),
        reason=attributes.get(REASON, ""),
        seconds=float(attributes.get(COMPUTE_SECONDS, 0)),
        start_time=_to_milliseconds(trial.datetime_start),
        end_time=_to_milliseconds(trial.datetime_complete),
    )


def _to_milliseconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)


def _pareto_front(complete: list[TrialResult], maximize: list[bool]) -> Iterator[int]:
    """Yield the numbers of the Pareto-optimal trials."""
    points = {
        trial.number: [value if up else -value for value, up in zip(trial.objective_values, maximize, strict=True)]
        for trial in complete
    }
    for number, point in points.items():
        others = (other for other in points.values() if other != point)
        if not any(all(value >= own for value, own in zip(other, point, strict=True)) for other in others):
            yield number


def search_ranges(study: StudySummary) -> dict[str, Any]:
    """Return the ranges of a study by dotted key."""
    return dict(parse_ranges(study.search_space))


IMPORTANCE_METHOD = "fANOVA of ranks"
MIN_TRIALS, MIN_TRIALS_PER_KEY = 12, 2
"""Fewest trials for an estimate of importance: in all, and per key."""


def compute_importance(study: StudySummary) -> Importance:
    """Return the share of the variance of ranks that each key explains.

    A trial in which a key is inactive counts as if it had the key's median, which adds no variance.
    """
    ranges = search_ranges(study)
    ranked = list(rank_trials(study))
    n_required = max(MIN_TRIALS, MIN_TRIALS_PER_KEY * len(ranges))
    shares: dict[str, float] = {}
    note = ""
    if len(ranked) < n_required:
        note = f"too few trials: {len(ranked)} can be ranked, but an estimate needs {n_required}"
    elif len({rank for _, rank in ranked}) == 1:
        note = "all trials are equally good"
    elif len(ranges) == 1:
        shares = dict.fromkeys(ranges, 1.0)
    else:
        shares = _importance_shares(ranges, ranked)
    return Importance(method=IMPORTANCE_METHOD, n_trials=len(ranked), importances=shares, note=note)


def rank_trials(study: StudySummary) -> Iterator[tuple[TrialResult, float]]:
    """Yield the complete and pruned trials with their ranks: 0 is the worst, equal trials share a rank.

    A trial with finished folds is compared with the best trial on these folds. Trials without one rank below all of
    those, by their best score within the number of epochs that all of them have.
    """
    best = next(iter(study.ranked_trials()), None)
    evaluated = study.trials_in_state("complete", "pruned")
    early = [
        trial
        for trial in evaluated
        if not trial.fold_scores and any(each is not None for each in trial.intermediate_values)
    ]
    epochs = min((len(trial.intermediate_values) for trial in early), default=0)
    sort_keys: list[tuple[TrialResult, tuple[int, float]]] = []
    for trial in evaluated:
        if trial.fold_scores and best is not None:
            pairs = zip(trial.fold_scores, best.fold_scores, strict=False)
            sort_keys.append((trial, (1, fmean(study.sign * (mine - theirs) for mine, theirs in pairs))))
    sort_keys += [
        (trial, (0, max(each for each in trial.intermediate_values[:epochs] if each is not None))) for trial in early
    ]
    order = sorted({sort_key for _, sort_key in sort_keys})
    for trial, sort_key in sort_keys:
        yield trial, float(order.index(sort_key))


def _importance_shares(
    param_ranges: Mapping[str, FloatRange | IntRange | CategoricalRange], ranked_trials: list[tuple[TrialResult, float]]
) -> dict[str, float]:
    tried_values = {
        key: [trial.params[key] for trial, _ in ranked_trials if key in trial.params] for key in param_ranges
    }
    typical = {key: _typical_value(param_ranges[key], values) for key, values in tried_values.items() if values}
    distributions = {
        key: distribution for key, distribution in to_distributions(param_ranges).items() if key in typical
    }
    ranked_study = optuna.create_study()
    for trial, rank in ranked_trials:
        values = {key: encode_choice(trial.params.get(key, value)) for key, value in typical.items()}
        ranked_study.add_trial(create_trial(params=values, distributions=distributions, value=rank))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        shares = get_param_importances(ranked_study, evaluator=FanovaImportanceEvaluator(seed=0))
    return {key: float(share) for key, share in shares.items()} | {
        key: 0.0 for key in param_ranges if key not in typical
    }


def _typical_value(param_range: FloatRange | IntRange | CategoricalRange, values: list[Any]) -> Any:
    """Return the median of numeric values, or the most frequent choice."""
    return max(values, key=values.count) if isinstance(param_range, CategoricalRange) else median_low(values)


COUNTED_STATES: tuple[TrialStatus, ...] = ("complete", "pruned", "failed", "running", "waiting")


def analyze_study(trials: TrialQueue) -> StudyResult:
    """Return the current state of a study with its analyses."""
    study = summarize_study(trials)
    workers = {trial.number: trial.user_attrs.get(WORKER, "") for trial in trials.get_trials()}
    counts = Counter(trial.state for trial in study.trials)
    counts["waiting"] += max(0, study.n_trials - len(study.trials))  # trials that are not enqueued yet
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
    """Yield groups of pruned trials: those pruned within their first fold, then those after 2 folds, 3, ..."""
    pruned = study.trials_in_state("pruned")
    early = [trial for trial in pruned if not trial.fold_scores]
    if early:
        epochs = sorted(int(number) for trial in early for number in re.findall(r"after (\d+) epochs", trial.reason))
        spread = (
            f"{epochs[0]} to {epochs[-1]}"
            if epochs and epochs[0] < epochs[-1]
            else f"{epochs[0] if epochs else 'some'}"
        )
        yield _build_group(f"below the median after {spread} epochs of the first fold", early)
    for folds in sorted({len(trial.fold_scores) for trial in pruned if trial.fold_scores}):
        same = [trial for trial in pruned if len(trial.fold_scores) == folds]
        yield _build_group(f"worse than the best trial after {folds} folds (Wilcoxon test)", same)


def group_failed(study: StudySummary) -> Iterable[FailureGroup]:
    """Yield groups of failed trials whose reasons differ only in numbers, the largest group first."""
    groups: dict[str, list[TrialResult]] = {}
    for trial in study.trials_in_state("failed"):
        groups.setdefault(re.sub(r"[-+]?\d[\d.]*(e[-+]?\d+)?", "#", trial.reason), []).append(trial)
    for same in sorted(groups.values(), key=len, reverse=True):
        yield _build_group(same[0].reason or "worker process died", same)


def _build_group(text: str, trials: list[TrialResult]) -> FailureGroup:
    return FailureGroup(reason=text, trial_numbers=tuple(trial.number for trial in trials))


def compute_improvement(study: StudySummary) -> Improvement | None:
    """Return the improvement of the best trial over the baseline; None if one is missing or both are the same trial."""
    best, base = study.get_trial(study.best_trial_number), study.get_trial(study.baseline_trial_number)
    if best is None or base is None or best is base or len(best.fold_scores) != len(base.fold_scores):
        return None
    differences = [
        study.sign * (score - base_score) for score, base_score in zip(best.fold_scores, base.fold_scores, strict=True)
    ]
    return Improvement(
        mean_difference=fmean(differences),
        fold_differences=tuple(differences),
        n_better_folds=sum(each > 0 for each in differences),
    )


def compare_with_params(study: StudySummary) -> dict[str, tuple[Any, Any]]:
    """Return the values that applying the best trial would change, by key: those of params.yaml and of the trial."""
    best = study.get_trial(study.best_trial_number)
    current = read_current_values(study)
    if best is None or current is None:
        return {}
    best_values = round_values(search_ranges(study), best.params)
    return {key: (current.get(key), value) for key, value in best_values.items() if current.get(key) != value}


def read_current_values(study: StudySummary) -> ParamValues | None:
    """Return the current values of the searched keys; None if params.yaml is invalid or does not have the model."""
    try:
        space = SearchSpace.read(study.model)
    except ParamsError:
        return None
    return {key: space.defaults.get(key) for key in search_ranges(study)}
