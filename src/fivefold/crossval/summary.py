"""Summary of a cross-validation: estimates of each metric, comparisons of models, and conclusions in words."""

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
"""p-value below which a difference is reported as one."""

MAX_DECIMALS, MIN_FIXED_POINT = 4, 5e-5
"""Most decimals of a number, and the smallest number that they show."""

METHOD_NOTE = (
    "Intervals and p-values: corrected resampled t-test (Nadeau & Bengio 2003), because folds share training rows;"
    " t distribution with {degrees} degrees of freedom, variance times 1/{n} + {ratio:.3g}."
)
TIME_SPLIT_NOTE = (
    "Folds follow time: later folds have more training rows, so folds also differ for that reason, and intervals are"
    " only approximate."
)
EPOCH_SELECTION_NOTE = (
    "The score of {names} is that of the best epoch on the test rows of a fold, and therefore optimistic."
)


@dataclass(frozen=True)
class ModelComparison:
    """Two models on the same folds. differences: `model_a` - `model_b`, by metric. adjusted_p_values: by metric."""

    model_a: str
    model_b: str
    differences: Mapping[str, MeanDifference]
    adjusted_p_values: Mapping[str, float]


@dataclass(frozen=True)
class CrossValidationSummary:
    """Results of all folds and their summary; a model with a fold without scores has no estimates.

    estimates: by model and metric. optimism: of nested searches, by model: how much better the inner score of the best
    trials is than their score on the test rows.
    """

    crossval: CrossValidation
    results: Sequence[FoldResult]
    estimates: Mapping[str, Mapping[str, MeanEstimate]]
    comparisons: Sequence[ModelComparison]
    optimism: Mapping[str, MeanEstimate]

    @property
    def failed_results(self) -> list[FoldResult]:
        """Results without scores."""
        return [result for result in self.results if result.error]

    def results_for(self, model_name: str) -> list[FoldResult]:
        """Return the results of a model."""
        return [result for result in self.results if result.model == model_name]

    def conclusions(self) -> list[str]:
        """Return sentences about the primary metric, and about models without estimates."""
        lines = [self._describe_missing(name) for name in self.crossval.plan.model_names if name not in self.estimates]
        lines += [self._describe_mean(name) for name in self.estimates]
        lines += [self._describe_optimism(name) for name in self.optimism]
        return lines + [self._describe_comparison(pair) for pair in self.comparisons]

    def notes(self) -> list[str]:
        """Return notes on how to read the numbers."""
        plan, n = self.crossval.plan, len(self.crossval.fold_splits)
        lines = [METHOD_NOTE.format(degrees=n - 1, n=n, ratio=self.crossval.test_train_ratio)]
        if self.crossval.split_dataset.dataset_params.split.by == "time":
            lines.append(TIME_SPLIT_NOTE)
        if len(self.comparisons) > 1:
            lines.append(f"Adjusted p-values are corrected for {len(self.comparisons)} comparisons (Holm 1979).")
        generators = [
            name for name in plan.model_names if isinstance(self.crossval.params.models[name].network, Gan | Cyclegan)
        ]
        if generators:
            lines.append(EPOCH_SELECTION_NOTE.format(names=" and ".join(generators)))
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, results and summary as plain JSON values."""
        crossval = self.crossval
        return {
            **crossval.plan.model_dump(mode="json"),
            "seed": crossval.seed,
            "dataset": crossval.params.models[crossval.plan.model_names[0]].dataset,
            "split_by": crossval.split_dataset.dataset_params.split.by,
            "metric": crossval.objective_metric.name,
            "direction": crossval.objective_metric.direction,
            "test_train_ratio": crossval.test_train_ratio,
            "confidence_level": CONFIDENCE_LEVEL,
            "results": [result.model_dump(mode="json") for result in self.results],
            "estimates": {
                name: {metric: estimate._asdict() for metric, estimate in by_metric.items()}
                for name, by_metric in self.estimates.items()
            },
            "comparisons": [
                {
                    "model_a": pair.model_a,
                    "model_b": pair.model_b,
                    "differences": {
                        metric: {**_to_json(difference), "p_adjusted": pair.adjusted_p_values[metric]}
                        for metric, difference in pair.differences.items()
                    },
                }
                for pair in self.comparisons
            ],
            "optimism": {name: estimate._asdict() for name, estimate in self.optimism.items()},
            "conclusions": self.conclusions(),
            "notes": self.notes(),
        }

    def _describe_missing(self, model_name: str) -> str:
        results = self.results_for(model_name)
        failed = [result for result in results if result.error]
        labels = ", ".join(_fold_label(result, self.crossval.plan.repeats) for result in failed)
        return (
            f"no result for {model_name}: {len(failed)} of {len(results)} folds have no score ({labels}), and the mean"
            " of the others would be optimistic"
        )

    def _describe_mean(self, model_name: str) -> str:
        metric = self.crossval.objective_metric.name
        estimate, n = self.estimates[model_name][metric], len(self.results_for(model_name))
        label = f"{model_name}, searched within each fold" if self.crossval.plan.nested else model_name
        return f"{label}: {metric} {format_number(estimate.mean)} ({format_interval(estimate)}), {n} folds"

    def _describe_optimism(self, model_name: str) -> str:
        estimate = self.optimism[model_name]
        trials = [(each.best_trial, each.scores) for each in self.results_for(model_name) if each.best_trial]
        metric = trials[0][0].metric
        inner, outer = (
            fmean(values)
            for values in zip(*((trial.inner_score, scores[metric]) for trial, scores in trials), strict=True)
        )
        bias = "optimistic" if estimate.mean > 0 else "pessimistic"
        low, high = (estimate.low, estimate.high) if estimate.mean > 0 else (-estimate.high, -estimate.low)
        return (
            f"inner score of the search for {model_name}: {metric} {format_number(inner)}; outer test score:"
            f" {format_number(outer)}; too {bias} by {format_number(abs(estimate.mean))}"
            f" (95% CI [{format_number(low)}, {format_number(high)}])"
        )

    def _describe_comparison(self, comparison: ModelComparison) -> str:
        model_a, model_b = comparison.model_a, comparison.model_b
        metric = self.crossval.objective_metric
        difference, p = comparison.differences[metric.name], comparison.adjusted_p_values[metric.name]
        adjusted = f", adjusted for {len(self.comparisons)} comparisons" if len(self.comparisons) > 1 else ""
        if p >= SIGNIFICANCE_LEVEL:
            return (
                f"no significant difference between {model_a} and {model_b}: {model_a} - {model_b} ="
                f" {format_number(difference.mean)} {metric.name}, {format_interval(difference)}, p {p:.2g}{adjusted}"
            )
        better, worse = (model_a, model_b) if metric.sign * difference.mean > 0 else (model_b, model_a)
        low, high = sorted((abs(difference.low), abs(difference.high)))
        return (
            f"{better} is better than {worse} by {format_number(abs(difference.mean))} {metric.name}"
            f" (95% CI [{format_number(low)}, {format_number(high)}]), p {p:.2g}{adjusted}"
        )


def summarize(crossval: CrossValidation, results: Sequence[FoldResult]) -> CrossValidationSummary:
    """Return the summary of the results of all models on all folds, which may be in any order."""
    ordered = sorted(results, key=lambda each: (crossval.plan.model_names.index(each.model), each.repeat, each.fold))
    by_model = {name: [each for each in ordered if each.model == name] for name in crossval.plan.model_names}
    scores_by_model = {
        name: _scores_by_metric(model_results)
        for name, model_results in by_model.items()
        if not any(result.error for result in model_results)
    }
    ratio = crossval.test_train_ratio
    bounds = {name: crossval.score_bounds(name) for name in scores_by_model}
    estimates = {
        name: {
            metric: estimate_mean(scores, ratio, bounds[name].get(metric, UNBOUNDED))
            for metric, scores in by_metric.items()
        }
        for name, by_metric in scores_by_model.items()
    }
    pairs = _compare_models(scores_by_model, ratio, next(iter(bounds.values()), {}))
    optimism = {
        name: _estimate_optimism(crossval, name, by_model[name]) for name in scores_by_model if crossval.plan.nested
    }
    return CrossValidationSummary(crossval, ordered, estimates, pairs, optimism)


def format_number(value: float) -> str:
    """Return a number as text, with four decimals or significant digits."""
    if not value or MIN_FIXED_POINT <= abs(value) < 10:
        return f"{value:.{MAX_DECIMALS}f}"
    return f"{value:.4g}" if value >= 10 or value <= -10 else f"{value:.1e}"


def choose_decimals(means: Iterable[float], spread: float) -> int:
    """Return the number of decimals of a table row, from its largest mean and its standard deviation; at most 4."""
    largest = max(map(abs, means))
    if largest < 10:
        return MAX_DECIMALS
    needed = 1 - math.floor(math.log10(abs(spread))) if spread else 0
    return min(max(3 - math.floor(math.log10(largest)), needed, 0), MAX_DECIMALS)


def format_fixed(value: float, n_decimals: int) -> str:
    """Return a number with a fixed number of decimals, or with an exponent if they would show zero."""
    return (
        format_number(value)
        if n_decimals == MAX_DECIMALS and abs(value) < MIN_FIXED_POINT
        else f"{value:z.{n_decimals}f}"
    )


def format_interval(estimate: MeanEstimate | MeanDifference) -> str:
    """Return a confidence interval as text."""
    n_decimals = choose_decimals([estimate.low, estimate.high], estimate.mean)
    return f"95% CI [{format_fixed(estimate.low, n_decimals)}, {format_fixed(estimate.high, n_decimals)}]"


def _scores_by_metric(results: Sequence[FoldResult]) -> dict[str, list[float]]:
    """Return the scores of the folds by metric, for metrics that all folds have."""
    shared = [metric for metric in results[0].scores if all(metric in each.scores for each in results)]
    return {metric: [each.scores[metric] for each in results] for metric in shared}


def _compare_models(
    scores_by_model: Mapping[str, Mapping[str, Sequence[float]]], test_train_ratio: float, bounds: Mapping[str, Bounds]
) -> list[ModelComparison]:
    """Return the comparisons of all pairs of models, in the metrics that all models have."""
    pairs = list(combinations(scores_by_model, 2))
    metrics = [
        metric
        for metric in next(iter(scores_by_model.values()), {})
        if all(metric in by_metric for by_metric in scores_by_model.values())
    ]
    differences = [
        {
            metric: corrected_resampled_ttest(
                scores_by_model[model_a][metric],
                scores_by_model[model_b][metric],
                test_train_ratio,
                difference_bounds(bounds.get(metric, UNBOUNDED)),
            )
            for metric in metrics
        }
        for model_a, model_b in pairs
    ]
    adjusted = {metric: holm_correction([by_metric[metric].p_value for by_metric in differences]) for metric in metrics}
    return [
        ModelComparison(model_a, model_b, by_metric, {metric: adjusted[metric][i] for metric in metrics})
        for i, ((model_a, model_b), by_metric) in enumerate(zip(pairs, differences, strict=True))
    ]


def _estimate_optimism(crossval: CrossValidation, model_name: str, results: Sequence[FoldResult]) -> MeanEstimate:
    differences = [
        crossval.objective_metrics(model_name)[each.best_trial.metric].sign
        * (each.best_trial.inner_score - each.scores[each.best_trial.metric])
        for each in results
        if each.best_trial
    ]
    metric = next(each.best_trial.metric for each in results if each.best_trial)
    return estimate_mean(
        differences,
        crossval.test_train_ratio,
        difference_bounds(crossval.score_bounds(model_name).get(metric, UNBOUNDED)),
    )


def _to_json(difference: MeanDifference) -> dict[str, float | None]:
    """Return a difference as JSON values; an infinite t statistic, which JSON cannot represent, is null."""
    return difference._asdict() | ({} if math.isfinite(difference.t_statistic) else {"t_statistic": None})


def _fold_label(result: FoldResult, repeats: int) -> str:
    return f"repeat {result.repeat}, fold {result.fold}" if repeats > 1 else f"fold {result.fold}"
