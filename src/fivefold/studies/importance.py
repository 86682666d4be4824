"""Which keys matter: functional ANOVA (Hutter et al. 2014) of the ranks of trials.

Ranks, not scores: a few trials that learn nothing would be all the variance of the scores, and most trials are pruned,
of which only their place is known.

Chosen over PED-ANOVA by trial: of six keys of which one matters most, 20 trials that a sampler chose had fANOVA name
that one first in 7 of 8 studies, PED-ANOVA in 3 to 4 of 8; samplers crowd the good values, of which PED-ANOVA takes the
best tenth.
"""

import warnings
from collections.abc import Iterator, Mapping
from statistics import fmean, median_low
from typing import Any

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from ..config.search import Categorical, Float, Int
from ..tracking.study_results import Importance, StudyFacts, TrialFacts
from .facts import ranges
from .ranges import distributions_of, encoded

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
