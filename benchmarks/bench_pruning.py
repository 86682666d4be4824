"""What pruning is worth: how good the configuration is that a search chooses, at the same budget of epochs.

For each model a pool of configurations is drawn from its space and trained on every fold to the end, twice: on the
folds of the study, and on others, whose mean is taken for the truth. Then searches are replayed in many orders of the
pool: one without pruning, one with Optuna's default (the median of running means, told fold by fold), one with ours.
Each stops when its budget of epochs is spent, and its choice is judged by the truth: the loss is how much worse that is
than the best configuration of the pool, as a share of the pool's interquartile range.

`python -m benchmarks.bench_pruning record` trains the pools again, which takes half an hour, `... record lstm` one of
them; without it searches are replayed from results/pruning_pools.npz.
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
"""Configurations of a pool, folds, and how many of them the budget could train to the end."""
SEEDS = 10
ORDERS = 200
"""Replayed searches: the first `SEEDS` are the ten seeds, all together say it with less chance."""
KEPT = RESULTS / "pruning_pools.npz"

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
"""Of models whose block in params.yaml has none."""

Array = NDArray[np.float64]


class Pool(NamedTuple):
    """Curves of the first folds (n, epochs), scores of folds (n, k), more being better, and the truth (n,)."""

    curves: Array
    scores: Array
    truth: Array


def record(name: str) -> Pool:
    """Train the pool of a model."""
    search = Search.read(name) if name not in SPACES else _with_space(name)
    seed, goal = search.space.seed, search.objective_metric
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    models = [search.space.build_model(search.space.suggest(study.ask())) for _ in range(POOL)]
    others = build_folds(search.split_dataset, FOLDS, seed + 1)
    epochs = models[0].training.max_epochs
    curves = np.full((POOL, epochs), np.nan)
    found, truth = np.full((POOL, FOLDS), np.nan), np.full((POOL, FOLDS), np.nan)
    for i, model in enumerate(models):
        # a series has the same folds each time: elsewhere weights begin otherwise too
        for into, folds, drawn in ((found, search.folds, seed), (truth, others, seed + 1)):
            for k, fold in enumerate(folds):
                dataset, chain = fold.prepare(model, seed)
                with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(io.StringIO()):
                    try:
                        saved, told, kept = train_model(name, model, dataset, chain, drawn, Path(work), lambda *_: None)
                    except FivefoldError:  # a rate too high: the worst there is
                        into[i, k] = -np.inf
                        continue
                into[i, k] = goal.sign * score_model(model, saved, dataset.validation, told, kept)[goal.name]
                if into is found and k == 0:
                    curves[i, : len(told)] = [goal.epoch_score(each) for each in told]
        print(f"{name} {i + 1}/{POOL}: {found[i].mean():.4g}, elsewhere {truth[i].mean():.4g}", flush=True)
    return Pool(curves, found, truth.mean(axis=1))


def _with_space(name: str) -> Search:
    search = Search.read(name)
    tree = search.space.tree
    tree["models"][name]["search"] = SPACES[name]
    space = replace(search.space, tree=tree, ranges=parse_ranges(SPACES[name]))
    return replace(search, space=space)


def searched(pool: Pool, order: NDArray[np.int64], method: Callable[["Replay", int], int]) -> float:
    """Return the truth of what a search chooses that looks at the pool in `order`."""
    replay = Replay(pool, [], [])
    spent, budget = 0, BUDGET * FOLDS * pool.curves.shape[1]
    for i in order:
        spent += method(replay, int(i))
        if spent >= budget:
            break
    best = max(replay.complete, key=lambda i: pool.scores[i].mean(), default=int(order[0]))
    return float(pool.truth[best])


class Replay(NamedTuple):
    """A search so far: configurations that are complete, and those that have come to the end of their first fold."""

    pool: Pool
    complete: list[int]
    begun: list[int]


def without(replay: Replay, i: int) -> int:
    """Train everything to the end; return the epochs that it took."""
    replay.complete.append(i)
    return FOLDS * replay.pool.curves.shape[1]


def default(replay: Replay, i: int) -> int:
    """Optuna's MedianPruner() on the running mean, reported after each fold."""
    scores, epochs = replay.pool.scores, replay.pool.curves.shape[1]
    replay.begun.append(i)
    for k in range(1, FOLDS):
        running = scores[i, :k].mean()
        others = [np.max([scores[j, :m].mean() for m in range(1, k + 1)]) for j in replay.complete]
        best = max(scores[i, :m].mean() for m in range(1, k + 1))
        if len(replay.complete) >= 5 and best < np.median(others) and np.isfinite(running):
            return k * epochs
    replay.complete.append(i)
    return FOLDS * epochs


def ours(replay: Replay, i: int) -> int:
    """Median over epochs of the first fold, then paired signed ranks over folds."""
    pool, epochs = replay.pool, replay.pool.curves.shape[1]
    reached = pruners.compute_median_curve([list(pool.curves[j]) for j in replay.begun])
    for done in range(1, epochs):
        if pruners.is_below_median(list(pool.curves[i, :done]), reached, epochs):
            return done
    replay.begun.append(i)
    best = max(replay.complete, key=lambda j: pool.scores[j].mean(), default=None)
    for k in range(2, FOLDS):
        if (
            best is not None
            and pruners.paired_test_p_value(list(pool.scores[i, :k]), list(pool.scores[best])) is not None
        ):
            return k * epochs
    replay.complete.append(i)
    return FOLDS * epochs


METHODS = {"none": without, "optuna default": default, "two stages": ours}


def losses(pool: Pool) -> Iterator[dict[str, float]]:
    """Yield, order by order, how much worse than the best of the pool each method's choice is."""
    finite = pool.truth[np.isfinite(pool.truth)]
    spread = float(np.subtract(*np.percentile(finite, [75, 25])))
    for seed in range(ORDERS):
        order = np.random.default_rng(seed).permutation(len(pool.truth))
        yield {name: (finite.max() - searched(pool, order, method)) / spread for name, method in METHODS.items()}


def main() -> int:
    """Replay, or record first."""
    os.chdir(ROOT)
    if "record" in sys.argv[1:]:
        names = [name for name in MODELS if name in sys.argv[1:]] or MODELS
        pools = {name: record(name) for name in names}
        fields = {f"{name}/{field}": array for name, pool in pools.items() for field, array in pool._asdict().items()}
        with np.load(KEPT) if KEPT.exists() else contextlib.nullcontext({}) as kept:
            every = dict(kept) | {key: array.astype(np.float32) for key, array in fields.items()}
        np.savez_compressed(KEPT, **every)
    with np.load(KEPT) as kept:
        pools = {name: Pool(*(kept[f"{name}/{field}"].astype(np.float64) for field in Pool._fields)) for name in MODELS}
    found = {name: list(losses(pool)) for name, pool in pools.items()}
    rows = [
        (f"{name}, {len(some)} orders", *(fmean(each[method] for each in some) for method in METHODS))
        for name, every in found.items()
        for some in (every[:SEEDS], every)
    ]
    print(table(("loss of the choice, in interquartile ranges", *METHODS), rows))
    mean = {method: fmean(each[method] for every in found.values() for each in every) for method in METHODS}
    return finish(
        "pruning",
        {
            "losses": {
                name: {method: [each[method] for each in every] for method in METHODS} for name, every in found.items()
            }
        },
        [
            Result("pruned_loss_per_unpruned", mean["two stages"] / mean["none"], 1.0),
            Result("pruned_loss_per_optuna_default", mean["two stages"] / mean["optuna default"], 1.0),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
