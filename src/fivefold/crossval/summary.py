"""What is known after a cross-validation: an estimate of each metric, differences between models, a few words."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from .crossval import CrossValidation, FoldResult
from .statistics import (
    CONFIDENCE_LEVEL,
    UNBOUNDED,
    Bounds,
    MeanDifference,
    MeanEstimate,
    corrected_resampled_ttest,
    difference_bounds,
    estimate_mean,
    holm_correction,
)

SIGNIFICANCE_LEVEL = 1 - CONFIDENCE_LEVEL
"""p-value below which a difference is said to be one."""

MAX_DECIMALS, MIN_FIXED_POINT = 4, 5e-5
"""Decimals of a number at most; what they do not show."""

METHOD_NOTE = (
    "Intervals and p-values: corrected resampled t-test (Nadeau & Bengio 2003), since folds share training rows; t with"
    " {degrees} degrees of freedom, variance times 1/{n} + {ratio:.3g}."
)
TIME_SPLIT_NOTE = (
    "Folds follow time: later ones learn more rows, so folds differ for that too, and intervals are a rule of thumb."
)
EPOCH_SELECTION_NOTE = (
    "The score of {names} is that of an epoch, chosen by the rows held out: it is the best of several looks, and so"
    " rather too good."
)


@dataclass(frozen=True)
class ModelComparison:
    """Two models on the same folds. differences: of `one` less `other`, by metric. p: of all pairs, by metric."""

    model_a: str
    model_b: str
    differences: Mapping[str, MeanDifference]
    adjusted_p_values: Mapping[str, float]


@dataclass(frozen=True)
class CrossValidationSummary:
    """Results, and what follows from them; of a model of which a fold has no scores nothing does.

    estimates: by model and metric. optimism: of searches within folds, by model: how much better the inner score of
    the winners is than their score on rows held out.
    """

    crossval: CrossValidation
    results: Sequence[FoldResult]
    estimates: Mapping[str, Mapping[str, MeanEstimate]]
    comparisons: Sequence[ModelComparison]
    optimism: Mapping[str, MeanEstimate]

    @property
    def failed_results(self) -> list[FoldResult]:
        """Folds without scores."""
        return [result for result in self.results if result.error]

    def results_for(self, model_name: str) -> list[FoldResult]:
        """Return the results of a model."""
        return [result for result in self.results if result.model == model_name]

    def conclusions(self) -> list[str]:
        """Return in plain words what is known of the leading metric, and of what nothing is."""
        said = [self._describe_missing(name) for name in self.crossval.plan.model_names if name not in self.estimates]
        said += [self._describe_mean(name) for name in self.estimates]
        said += [self._describe_optimism(name) for name in self.optimism]
        return said + [self._describe_comparison(pair) for pair in self.comparisons]

    def notes(self) -> list[str]:
        """Return what must be known to read the numbers."""
        plan, n = self.crossval.plan, len(self.crossval.fold_splits)
        said = [METHOD_NOTE.format(degrees=n - 1, n=n, ratio=self.crossval.test_train_ratio)]
        if self.crossval.split_dataset.dataset_params.split.by == "time":
            said.append(TIME_SPLIT_NOTE)
        if len(self.comparisons) > 1:
            said.append(f"Behind `of all`: p-values of {len(self.comparisons)} comparisons at once (Holm 1979).")
        seen = [
            name for name in plan.model_names if isinstance(self.crossval.params.models[name].network, Gan | Cyclegan)
        ]
        if seen:
            said.append(EPOCH_SELECTION_NOTE.format(names=" and ".join(seen)))
        return said

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain JSON values."""
        crossval = self.crossval
        return {
            **crossval.plan.model_dump(mode="json"),
            "seed": crossval.seed,
            "dataset": crossval.params.models[crossval.plan.model_names[0]].dataset,
            "by": crossval.split_dataset.dataset_params.split.by,
            "metric": crossval.objective_metric.name,
            "better": crossval.objective_metric.direction,
            "ratio": crossval.test_train_ratio,
            "level": CONFIDENCE_LEVEL,
            "results": [result.model_dump(mode="json") for result in self.results],
            "estimates": {
                name: {metric: each._asdict() for metric, each in found.items()}
                for name, found in self.estimates.items()
            },
            "comparisons": [
                {
                    "one": pair.model_a,
                    "other": pair.model_b,
                    "differences": {
                        metric: {**_to_json(each), "p_of_all": pair.adjusted_p_values[metric]}
                        for metric, each in pair.differences.items()
                    },
                }
                for pair in self.comparisons
            ],
            "optimism": {name: each._asdict() for name, each in self.optimism.items()},
            "known": self.conclusions(),
            "notes": self.notes(),
        }

    def _describe_missing(self, model_name: str) -> str:
        results = self.results_for(model_name)
        lost = [result for result in results if result.error]
        which = ", ".join(_fold_label(result, self.crossval.plan.repeats) for result in lost)
        return (
            f"nothing is known of {model_name}: {len(lost)} of {len(results)} folds have no score ({which}), and a mean over"
            " the others would be too good"
        )

    def _describe_mean(self, model_name: str) -> str:
        metric = self.crossval.objective_metric.name
        found, n = self.estimates[model_name][metric], len(self.results_for(model_name))
        whose = f"{model_name}, searched within each fold" if self.crossval.plan.nested else model_name
        return f"{whose}: {metric} {format_number(found.mean)} ({format_interval(found)}), {n} folds"

    def _describe_optimism(self, model_name: str) -> str:
        found = self.optimism[model_name]
        winners = [(each.best_trial, each.scores) for each in self.results_for(model_name) if each.best_trial]
        metric = winners[0][0].metric
        promised, given = (
            fmean(values) for values in zip(*((w.inner_score, s[metric]) for w, s in winners), strict=True)
        )
        way = "optimistic" if found.mean > 0 else "pessimistic"
        low, high = (found.low, found.high) if found.mean > 0 else (-found.high, -found.low)
        return (
            f"searches for {model_name} promised {metric} {format_number(promised)}, and rows held out gave {format_number(given)}: too"
            f" {way} by {format_number(abs(found.mean))} (95 %: {format_number(low)} to {format_number(high)})"
        )

    def _describe_comparison(self, comparison: ModelComparison) -> str:
        goal = self.crossval.objective_metric
        found, p = comparison.differences[goal.name], comparison.adjusted_p_values[goal.name]
        several = f" of all {len(self.comparisons)} comparisons" if len(self.comparisons) > 1 else ""
        if p >= SIGNIFICANCE_LEVEL:
            reach = f"{comparison.model_a} less {comparison.model_b} is {format_number(found.mean)} {goal.name}, {format_interval(found)}, p {p:.2g}"
            return f"no difference between {comparison.model_a} and {comparison.model_b} is shown: {reach}{several}"
        better, worse = (
            (comparison.model_a, comparison.model_b)
            if goal.sign * found.mean > 0
            else (comparison.model_b, comparison.model_a)
        )
        low, high = sorted((abs(found.low), abs(found.high)))
        return (
            f"{better} is better than {worse} by {format_number(abs(found.mean))} {goal.name}"
            f" (95 %: {format_number(low)} to {format_number(high)}), p {p:.2g}{several}"
        )


def summarize(crossval: CrossValidation, results: Sequence[FoldResult]) -> CrossValidationSummary:
    """Return what follows from the results of all models on all folds."""
    ordered = sorted(results, key=lambda each: (crossval.plan.model_names.index(each.model), each.repeat, each.fold))
    by_model = {name: [each for each in ordered if each.model == name] for name in crossval.plan.model_names}
    whole = {
        name: _scores_by_metric(found) for name, found in by_model.items() if not any(each.error for each in found)
    }
    ratio = crossval.test_train_ratio
    bounds = {name: crossval.score_bounds(name) for name in whole}
    estimates = {
        name: {
            metric: estimate_mean(scores, ratio, bounds[name].get(metric, UNBOUNDED))
            for metric, scores in found.items()
        }
        for name, found in whole.items()
    }
    pairs = _compare_models(whole, ratio, next(iter(bounds.values()), {}))
    optimism = {name: _estimate_optimism(crossval, name, by_model[name]) for name in whole if crossval.plan.nested}
    return CrossValidationSummary(crossval, ordered, estimates, pairs, optimism)


def format_number(value: float) -> str:
    """Return a number as a person reads it."""
    if not value or MIN_FIXED_POINT <= abs(value) < 10:
        return f"{value:.{MAX_DECIMALS}f}"
    return f"{value:.4g}" if value >= 10 or value <= -10 else f"{value:.1e}"


def choose_decimals(means: Iterable[float], spread: float) -> int:
    """Return how many decimals the numbers of a row have: as its largest mean has, and its spread needs; 4 at most."""
    largest = max(map(abs, means))
    if largest < 10:
        return MAX_DECIMALS
    needed = 1 - math.floor(math.log10(abs(spread))) if spread else 0
    return min(max(3 - math.floor(math.log10(largest)), needed, 0), MAX_DECIMALS)


def format_fixed(value: float, n_decimals: int) -> str:
    """Return a number with as many decimals as its row has; one that would be lost there has an exponent."""
    return (
        format_number(value)
        if n_decimals == MAX_DECIMALS and abs(value) < MIN_FIXED_POINT
        else f"{value:z.{n_decimals}f}"
    )


def format_interval(estimate: MeanEstimate | MeanDifference) -> str:
    """Return an interval as a person reads it."""
    places = choose_decimals([estimate.low, estimate.high], estimate.mean)
    return f"95 %: {format_fixed(estimate.low, places)} to {format_fixed(estimate.high, places)}"


def _scores_by_metric(results: Sequence[FoldResult]) -> dict[str, list[float]]:
    """Return the scores by metric, of metrics that all folds have."""
    shared = [metric for metric in results[0].scores if all(metric in each.scores for each in results)]
    return {metric: [each.scores[metric] for each in results] for metric in shared}


def _compare_models(
    scores_by_model: Mapping[str, Mapping[str, Sequence[float]]], test_train_ratio: float, bounds: Mapping[str, Bounds]
) -> list[ModelComparison]:
    """Return the differences of each two models, in the metrics that all have."""
    pairs = list(combinations(scores_by_model, 2))
    metrics = [
        metric
        for metric in next(iter(scores_by_model.values()), {})
        if all(metric in found for found in scores_by_model.values())
    ]
    differences = [
        {
            metric: corrected_resampled_ttest(
                scores_by_model[one][metric],
                scores_by_model[other][metric],
                test_train_ratio,
                difference_bounds(bounds.get(metric, UNBOUNDED)),
            )
            for metric in metrics
        }
        for one, other in pairs
    ]
    p = {metric: holm_correction([found[metric].p_value for found in differences]) for metric in metrics}
    return [
        ModelComparison(one, other, found, {metric: p[metric][i] for metric in metrics})
        for i, ((one, other), found) in enumerate(zip(pairs, differences, strict=True))
    ]


def _estimate_optimism(crossval: CrossValidation, model_name: str, results: Sequence[FoldResult]) -> MeanEstimate:
    gains = [
        crossval.objective_metrics(model_name)[each.best_trial.metric].sign
        * (each.best_trial.inner_score - each.scores[each.best_trial.metric])
        for each in results
        if each.best_trial
    ]
    metric = next(each.best_trial.metric for each in results if each.best_trial)
    return estimate_mean(
        gains, crossval.test_train_ratio, difference_bounds(crossval.score_bounds(model_name).get(metric, UNBOUNDED))
    )


def _to_json(difference: MeanDifference) -> dict[str, float | None]:
    """Return a difference as JSON has it, which knows no infinity."""
    return difference._asdict() | ({} if math.isfinite(difference.t_statistic) else {"t": None})


def _fold_label(result: FoldResult, repeats: int) -> str:
    return f"repeat {result.repeat}, fold {result.fold}" if repeats > 1 else f"fold {result.fold}"
