"""What is known after a cross-validation: an estimate of each metric, differences between models, a few words."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from .crossval import Crossval, Result
from .statistics import ENDLESS, LEVEL, Bounds, Difference, Estimate, difference, estimate, holm, of_differences

SURE = 1 - LEVEL
"""p-value below which a difference is said to be one."""

MOST, TINY = 4, 5e-5
"""Decimals of a number at most; what they do not show."""

METHOD = (
    "Intervals and p-values: corrected resampled t-test (Nadeau & Bengio 2003), since folds share training rows; t with"
    " {degrees} degrees of freedom, variance times 1/{n} + {ratio:.3g}."
)
TIME = "Folds follow time: later ones learn more rows, so folds differ for that too, and intervals are a rule of thumb."
SEEN = (
    "The score of {names} is that of an epoch, chosen by the rows held out: it is the best of several looks, and so"
    " rather too good."
)


@dataclass(frozen=True)
class Pair:
    """Two models on the same folds. differences: of `one` less `other`, by metric. p: of all pairs, by metric."""

    one: str
    other: str
    differences: Mapping[str, Difference]
    p: Mapping[str, float]


@dataclass(frozen=True)
class Summary:
    """Results, and what follows from them; of a model of which a fold has no scores nothing does.

    estimates: by model and metric. optimism: of searches within folds, by model: how much better the inner score of
    the winners is than their score on rows held out.
    """

    crossval: Crossval
    results: Sequence[Result]
    estimates: Mapping[str, Mapping[str, Estimate]]
    pairs: Sequence[Pair]
    optimism: Mapping[str, Estimate]

    @property
    def failed(self) -> list[Result]:
        """Folds without scores."""
        return [result for result in self.results if result.error]

    def of(self, name: str) -> list[Result]:
        """Return the results of a model."""
        return [result for result in self.results if result.model == name]

    def known(self) -> list[str]:
        """Return in plain words what is known of the leading metric, and of what nothing is."""
        said = [self._lacking(name) for name in self.crossval.plan.names if name not in self.estimates]
        said += [self._mean(name) for name in self.estimates]
        said += [self._optimism(name) for name in self.optimism]
        return said + [self._pair(pair) for pair in self.pairs]

    def notes(self) -> list[str]:
        """Return what must be known to read the numbers."""
        plan, n = self.crossval.plan, len(self.crossval.divisions)
        said = [METHOD.format(degrees=n - 1, n=n, ratio=self.crossval.ratio)]
        if self.crossval.rows.block.split.by == "time":
            said.append(TIME)
        if len(self.pairs) > 1:
            said.append(f"Behind `of all`: p-values of {len(self.pairs)} comparisons at once (Holm 1979).")
        seen = [name for name in plan.names if isinstance(self.crossval.params.models[name].network, Gan | Cyclegan)]
        if seen:
            said.append(SEEN.format(names=" and ".join(seen)))
        return said

    def tree(self) -> dict[str, Any]:
        """Return all of it as plain JSON values."""
        crossval = self.crossval
        return {
            **crossval.plan.model_dump(mode="json"),
            "seed": crossval.seed,
            "dataset": crossval.params.models[crossval.plan.names[0]].dataset,
            "by": crossval.rows.block.split.by,
            "metric": crossval.goal.name,
            "better": crossval.goal.better,
            "ratio": crossval.ratio,
            "level": LEVEL,
            "results": [result.model_dump(mode="json") for result in self.results],
            "estimates": {
                name: {metric: each._asdict() for metric, each in found.items()}
                for name, found in self.estimates.items()
            },
            "comparisons": [
                {
                    "one": pair.one,
                    "other": pair.other,
                    "differences": {
                        metric: {**_finite(each), "p_of_all": pair.p[metric]}
                        for metric, each in pair.differences.items()
                    },
                }
                for pair in self.pairs
            ],
            "optimism": {name: each._asdict() for name, each in self.optimism.items()},
            "known": self.known(),
            "notes": self.notes(),
        }

    def _lacking(self, name: str) -> str:
        results = self.of(name)
        lost = [result for result in results if result.error]
        which = ", ".join(_place(result, self.crossval.plan.repeats) for result in lost)
        return (
            f"nothing is known of {name}: {len(lost)} of {len(results)} folds have no score ({which}), and a mean over"
            " the others would be too good"
        )

    def _mean(self, name: str) -> str:
        metric = self.crossval.goal.name
        found, n = self.estimates[name][metric], len(self.of(name))
        whose = f"{name}, searched within each fold" if self.crossval.plan.nested else name
        return f"{whose}: {metric} {number(found.mean)} ({span(found)}), {n} folds"

    def _optimism(self, name: str) -> str:
        found = self.optimism[name]
        winners = [(each.winner, each.scores) for each in self.of(name) if each.winner]
        metric = winners[0][0].metric
        promised, given = (fmean(values) for values in zip(*((w.inner, s[metric]) for w, s in winners), strict=True))
        way = "optimistic" if found.mean > 0 else "pessimistic"
        low, high = (found.low, found.high) if found.mean > 0 else (-found.high, -found.low)
        return (
            f"searches for {name} promised {metric} {number(promised)}, and rows held out gave {number(given)}: too"
            f" {way} by {number(abs(found.mean))} (95 %: {number(low)} to {number(high)})"
        )

    def _pair(self, pair: Pair) -> str:
        goal = self.crossval.goal
        found, p = pair.differences[goal.name], pair.p[goal.name]
        several = f" of all {len(self.pairs)} comparisons" if len(self.pairs) > 1 else ""
        if p >= SURE:
            reach = f"{pair.one} less {pair.other} is {number(found.mean)} {goal.name}, {span(found)}, p {p:.2g}"
            return f"no difference between {pair.one} and {pair.other} is shown: {reach}{several}"
        better, worse = (pair.one, pair.other) if goal.sign * found.mean > 0 else (pair.other, pair.one)
        low, high = sorted((abs(found.low), abs(found.high)))
        return (
            f"{better} is better than {worse} by {number(abs(found.mean))} {goal.name}"
            f" (95 %: {number(low)} to {number(high)}), p {p:.2g}{several}"
        )


def summary_of(crossval: Crossval, results: Sequence[Result]) -> Summary:
    """Return what follows from the results of all models on all folds."""
    ordered = sorted(results, key=lambda each: (crossval.plan.names.index(each.model), each.repeat, each.fold))
    by_model = {name: [each for each in ordered if each.model == name] for name in crossval.plan.names}
    whole = {name: _columns(found) for name, found in by_model.items() if not any(each.error for each in found)}
    ratio = crossval.ratio
    bounds = {name: crossval.bounds(name) for name in whole}
    estimates = {
        name: {metric: estimate(scores, ratio, bounds[name].get(metric, ENDLESS)) for metric, scores in found.items()}
        for name, found in whole.items()
    }
    pairs = _pairs(whole, ratio, next(iter(bounds.values()), {}))
    optimism = {name: _optimism(crossval, name, by_model[name]) for name in whole if crossval.plan.nested}
    return Summary(crossval, ordered, estimates, pairs, optimism)


def number(value: float) -> str:
    """Return a number as a person reads it."""
    if not value or TINY <= abs(value) < 10:
        return f"{value:.{MOST}f}"
    return f"{value:.4g}" if value >= 10 or value <= -10 else f"{value:.1e}"


def decimals(means: Iterable[float], spread: float) -> int:
    """Return how many decimals the numbers of a row have: as its largest mean has, and its spread needs; 4 at most."""
    largest = max(map(abs, means))
    if largest < 10:
        return MOST
    needed = 1 - math.floor(math.log10(abs(spread))) if spread else 0
    return min(max(3 - math.floor(math.log10(largest)), needed, 0), MOST)


def in_row(value: float, places: int) -> str:
    """Return a number with as many decimals as its row has; one that would be lost there has an exponent."""
    return number(value) if places == MOST and abs(value) < TINY else f"{value:z.{places}f}"


def span(found: Estimate | Difference) -> str:
    """Return an interval as a person reads it."""
    places = decimals([found.low, found.high], found.mean)
    return f"95 %: {in_row(found.low, places)} to {in_row(found.high, places)}"


def _columns(results: Sequence[Result]) -> dict[str, list[float]]:
    """Return the scores by metric, of metrics that all folds have."""
    shared = [metric for metric in results[0].scores if all(metric in each.scores for each in results)]
    return {metric: [each.scores[metric] for each in results] for metric in shared}


def _pairs(
    whole: Mapping[str, Mapping[str, Sequence[float]]], ratio: float, bounds: Mapping[str, Bounds]
) -> list[Pair]:
    """Return the differences of each two models, in the metrics that all have."""
    pairs = list(combinations(whole, 2))
    metrics = [metric for metric in next(iter(whole.values()), {}) if all(metric in found for found in whole.values())]
    differences = [
        {
            metric: difference(
                whole[one][metric], whole[other][metric], ratio, of_differences(bounds.get(metric, ENDLESS))
            )
            for metric in metrics
        }
        for one, other in pairs
    ]
    p = {metric: holm([found[metric].p for found in differences]) for metric in metrics}
    return [
        Pair(one, other, found, {metric: p[metric][i] for metric in metrics})
        for i, ((one, other), found) in enumerate(zip(pairs, differences, strict=True))
    ]


def _optimism(crossval: Crossval, name: str, results: Sequence[Result]) -> Estimate:
    gains = [
        crossval.goals(name)[each.winner.metric].sign * (each.winner.inner - each.scores[each.winner.metric])
        for each in results
        if each.winner
    ]
    metric = next(each.winner.metric for each in results if each.winner)
    return estimate(gains, crossval.ratio, of_differences(crossval.bounds(name).get(metric, ENDLESS)))


def _finite(found: Difference) -> dict[str, float | None]:
    """Return a difference as JSON has it, which knows no infinity."""
    return found._asdict() | ({} if math.isfinite(found.t) else {"t": None})


def _place(result: Result, repeats: int) -> str:
    return f"repeat {result.repeat}, fold {result.fold}" if repeats > 1 else f"fold {result.fold}"
