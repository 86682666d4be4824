"""Benefit of pruning: the quality of the configuration that a search selects, at the same budget of epochs.

For each model a pool of configurations is drawn from its space and fully trained on every fold, twice: on the folds of
the study, and on other folds, whose mean is the true score. Then searches are replayed in many orders of the pool:
without pruning, with Optuna's default (the median of running means, reported fold by fold), with
`median_then_wilcoxon`. Each search stops when its budget of epochs is spent. Its regret is the difference between the
best true score of the pool and that of its selection, divided by the interquartile range of the pool.

`python -m benchmarks.bench_pruning record` trains the pools again, which takes half an hour, `... record lstm` one of
them; without `record` searches are replayed from results/pruning_pools.npz.
"""

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import optuna
from numpy.typing import NDArray

from fivefold.config.search import parse_ranges
from fivefold.errors import FivefoldError
from fivefold.folds import build_folds
from fivefold.tuning import pruners
from fivefold.tuning.execution.objective import train_model
from fivefold.tuning.scoring import score_model
from fivefold.tuning.search import Search

from .measure import RESULTS, ROOT, Result, finish, table

MODELS = ("mlp", "mlp_regression", "lstm")
POOL, FOLDS, BUDGET = 60, 5, 12
"""Configurations per pool, folds, and the number of configurations that the budget can fully train."""
SEEDS = 10
ORDERS = 200
"""Replayed searches; the first `SEEDS` are reported separately."""
POOLS_FILE = RESULTS / "pruning_pools.npz"

SPACES: dict[str, dict[str, Any]] = {
    "lstm": {
        "network": {
            "cell": {"type": "categorical", "choices": ["lstm", "gru"]},
            "hidden": {"type": "categorical", "choices": [[8], [16], [32], [16, 16]]},
        },
        "training": {
            "batch_size": {"type": "categorical", "choices": [8, 16, 32]},
            "optimizer": {
                "lr": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
                "weight_decay": {"type": "float", "low": 0.0001, "high": 0.3, "log": True},
            },
        },
    }
}
"""Search spaces of models without one in params.yaml, by model."""

Array = NDArray[np.float64]


class Pool(NamedTuple):
    """Curves of the first folds (n, epochs), fold scores (n, k), higher is better, and true scores (n,)."""

    curves: Array
    scores: Array
    truth: Array


def record(name: str) -> Pool:
    """Train the pool of a model and return it."""
    search = Search.read(name) if name not in SPACES else _with_space(name)
    seed, objective = search.space.seed, search.objective_metric
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    models = [search.space.build_model(search.space.suggest(study.ask())) for _ in range(POOL)]
    other_folds = build_folds(search.split_dataset, FOLDS, seed + 1)
    epochs = models[0].training.max_epochs
    curves = np.full((POOL, epochs), np.nan)
    scores, truth = np.full((POOL, FOLDS), np.nan), np.full((POOL, FOLDS), np.nan)
    for i, model in enumerate(models):
        # a series always has the same folds, so the seed of the training differs as well
        for into, folds, training_seed in ((scores, search.folds, seed), (truth, other_folds, seed + 1)):
            for k, fold in enumerate(folds):
                dataset, chain = fold.prepare(model, seed)
                with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(io.StringIO()):
                    try:
                        trained_model, history, best_epoch = train_model(
                            name, model, dataset, chain, training_seed, Path(work), lambda *_: None
                        )
                    except FivefoldError:  # a learning rate too high: the worst score
                        into[i, k] = -np.inf
                        continue
                into[i, k] = (
                    objective.sign
                    * score_model(model, trained_model, dataset.validation, history, best_epoch)[objective.name]
                )
                if into is scores and k == 0:
                    curves[i, : len(history)] = [objective.epoch_score(metrics) for metrics in history]
        print(f"{name} {i + 1}/{POOL}: {scores[i].mean():.4g}, on other folds {truth[i].mean():.4g}", flush=True)
    return Pool(curves, scores, truth.mean(axis=1))


def _with_space(name: str) -> Search:
    search = Search.read(name)
    tree = search.space.tree
    tree["models"][name]["search"] = SPACES[name]
    space = replace(search.space, tree=tree, ranges=parse_ranges(SPACES[name]))
    return replace(search, space=space)


def true_score_of_selection(pool: Pool, order: NDArray[np.int64], method: Callable[["Replay", int], int]) -> float:
    """Return the true score of the configuration that a search in `order` selects."""
    replay = Replay(pool, [], [])
    spent, budget = 0, BUDGET * FOLDS * pool.curves.shape[1]
    for i in order:
        spent += method(replay, int(i))
        if spent >= budget:
            break
    best = max(replay.complete, key=lambda i: pool.scores[i].mean(), default=int(order[0]))
    return float(pool.truth[best])


class Replay(NamedTuple):
    """State of a search: complete configurations, and those that have completed their first fold."""

    pool: Pool
    complete: list[int]
    started: list[int]


def no_pruning(replay: Replay, i: int) -> int:
    """Train configuration i on all folds and return the number of epochs."""
    replay.complete.append(i)
    return FOLDS * replay.pool.curves.shape[1]


def optuna_default(replay: Replay, i: int) -> int:
    """Return the epochs with Optuna's MedianPruner() on the running mean, reported after each fold."""
    scores, epochs = replay.pool.scores, replay.pool.curves.shape[1]
    replay.started.append(i)
    for k in range(1, FOLDS):
        running = scores[i, :k].mean()
        others = [np.max([scores[j, :m].mean() for m in range(1, k + 1)]) for j in replay.complete]
        best = max(scores[i, :m].mean() for m in range(1, k + 1))
        if len(replay.complete) >= 5 and best < np.median(others) and np.isfinite(running):
            return k * epochs
    replay.complete.append(i)
    return FOLDS * epochs


def two_stages(replay: Replay, i: int) -> int:
    """Return the epochs with the median over epochs of the first fold, then the paired signed-rank test over folds."""
    pool, epochs = replay.pool, replay.pool.curves.shape[1]
    median_curve = pruners.compute_median_curve([list(pool.curves[j]) for j in replay.started])
    for done in range(1, epochs):
        if pruners.is_below_median(list(pool.curves[i, :done]), median_curve, epochs):
            return done
    replay.started.append(i)
    best = max(replay.complete, key=lambda j: pool.scores[j].mean(), default=None)
    for k in range(2, FOLDS):
        if (
            best is not None
            and pruners.paired_test_p_value(list(pool.scores[i, :k]), list(pool.scores[best])) is not None
        ):
            return k * epochs
    replay.complete.append(i)
    return FOLDS * epochs


METHODS = {"none": no_pruning, "optuna default": optuna_default, "two stages": two_stages}


def regrets(pool: Pool) -> Iterator[dict[str, float]]:
    """Yield the regret of each method, order by order."""
    finite = pool.truth[np.isfinite(pool.truth)]
    spread = float(np.subtract(*np.percentile(finite, [75, 25])))
    for seed in range(ORDERS):
        order = np.random.default_rng(seed).permutation(len(pool.truth))
        yield {
            name: (finite.max() - true_score_of_selection(pool, order, method)) / spread
            for name, method in METHODS.items()
        }


def main() -> int:
    """Replay the searches, with `record` after training the pools."""
    os.chdir(ROOT)
    if "record" in sys.argv[1:]:
        names = [name for name in MODELS if name in sys.argv[1:]] or MODELS
        pools = {name: record(name) for name in names}
        fields = {f"{name}/{field}": array for name, pool in pools.items() for field, array in pool._asdict().items()}
        with np.load(POOLS_FILE) if POOLS_FILE.exists() else contextlib.nullcontext({}) as stored:
            arrays = dict(stored) | {key: array.astype(np.float32) for key, array in fields.items()}
        np.savez_compressed(POOLS_FILE, **arrays)
    with np.load(POOLS_FILE) as stored:
        pools = {
            name: Pool(*(stored[f"{name}/{field}"].astype(np.float64) for field in Pool._fields)) for name in MODELS
        }
    by_model = {name: list(regrets(pool)) for name, pool in pools.items()}
    rows = [
        (f"{name}, {len(subset)} orders", *(fmean(regret[method] for regret in subset) for method in METHODS))
        for name, all_regrets in by_model.items()
        for subset in (all_regrets[:SEEDS], all_regrets)
    ]
    print(table(("regret, in interquartile ranges", *METHODS), rows))
    mean = {
        method: fmean(regret[method] for all_regrets in by_model.values() for regret in all_regrets)
        for method in METHODS
    }
    return finish(
        "pruning",
        {
            "losses": {
                name: {method: [regret[method] for regret in all_regrets] for method in METHODS}
                for name, all_regrets in by_model.items()
            }
        },
        [
            Result("pruned_loss_per_unpruned", mean["two stages"] / mean["none"], 1.0),
            Result("pruned_loss_per_optuna_default", mean["two stages"] / mean["optuna default"], 1.0),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
