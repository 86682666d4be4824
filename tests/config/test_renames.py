"""Former keys and values of params.yaml are rejected with the new name."""

from typing import Any

import pytest

from fivefold.config.loading import parse_params
from fivefold.config.renames import RENAMED_KEYS, RENAMED_VALUES
from fivefold.errors import ParamsError

from .helpers import Tree, example

SPLIT = {"validation": 0.1, "test": 0.1, "by": "random"}
TABLE = {"kind": "table", "source": "a.csv", "task": "regression", "target": "y", "split": SPLIT, "normalize": "none"}
SEQUENCES = {"kind": "sequences", "source": "a.csv", "task": "regression", "split": SPLIT, "normalize": "none"}
SERIES = {
    "kind": "series",
    "source": "a.csv",
    "task": "forecasting",
    "time": "t",
    "targets": ["a"],
    "window": 4,
    "split": {**SPLIT, "by": "time"},
    "normalize": "none",
}
TEXT = {"kind": "text", "source": "a.csv", "task": "classification", "max_length": 4, "split": SPLIT}
MLP = {"family": "mlp"}
PLAIN = {"family": "cnn", "architecture": "plain"}
AUTOENCODER = {"family": "autoencoder"}
GAN = {"family": "gan"}
CYCLEGAN = {"family": "cyclegan"}


def dataset(block: dict[str, Any], **changes: Any) -> Tree:
    """Return the example with another dataset."""
    tree = example()
    tree["datasets"]["other"] = {**block, **changes}
    return tree


def model(**changes: Any) -> Tree:
    """Return the example with changed blocks of model `wide`."""
    tree = example()
    tree["models"]["wide"] |= changes
    return tree


def training(**changes: Any) -> Tree:
    """Return the example with changed options of the base training."""
    tree = example()
    tree["training"] |= changes
    return tree


def example_with_uses() -> Tree:
    """Return the example with the former key in place of `depends_on`."""
    tree = example()
    tree["models"]["wide"] = {**without(tree["models"]["wide"], "depends_on"), "uses": "none"}
    return tree


def without(block: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a block without one of its keys."""
    return {name: value for name, value in block.items() if name != key}


DATASET, MODEL = "datasets.other", "models.wide"

KEYS = [
    # tree, path of the block, former key, new key
    (dataset(TABLE, columns={"a": {"order": ["x"]}}), f"{DATASET}.columns.a", "order", "categories"),
    (dataset(TABLE, columns={"a": {"values": ["x"]}}), f"{DATASET}.columns.a", "values", "allowed_values"),
    (dataset(TABLE, missing={"constant": 0.0}), f"{DATASET}.missing", "constant", "fill_value"),
    (dataset(TABLE, missing={"indicator": True}), f"{DATASET}.missing", "indicator", "add_indicator"),
    (dataset(TABLE, log=True), DATASET, "log", "log_target"),
    (dataset(SERIES, log=True), DATASET, "log", "log_target"),
    (dataset(TABLE, also={"b": "regression"}), DATASET, "also", "extra_targets"),
    (dataset(TABLE, rare=0.1), DATASET, "rare", "min_frequency"),
    (dataset(TABLE, checks={"cut": "off"}), f"{DATASET}.checks", "cut", "truncated"),
    (dataset(TABLE, checks={"split_shares": "off"}), f"{DATASET}.checks", "split_shares", "split_sizes"),
    (dataset(SEQUENCES, series="s"), DATASET, "series", "sequence_id"),
    (dataset(SEQUENCES, step="t"), DATASET, "step", "time_step"),
    (dataset(SEQUENCES, length=3), DATASET, "length", "max_length"),
    (dataset(SERIES, season=12), DATASET, "season", "season_length"),
    (dataset(SERIES, step="1D"), DATASET, "step", "freq"),
    (dataset(TEXT, level="word"), DATASET, "level", "tokenizer"),
    (dataset(TEXT, vocabulary=9), DATASET, "vocabulary", "vocab_size"),
    (dataset(without(TEXT, "max_length"), length=4), DATASET, "length", "max_length"),
    (dataset(TEXT, length=4), DATASET, "length", "max_length"),
    (model(uses="none"), MODEL, "uses", "depends_on"),
    (example_with_uses(), MODEL, "uses", "depends_on"),
    *(
        (model(select={"method": method, **options}), f"{MODEL}.select", old, new)
        for method, options, old, new in (
            ("k_best", {"k": 2, "score": "f"}, "score", "score_func"),
            ("percentile", {"score_func": "f", "percent": 50}, "percent", "percentile"),
            ("k_best", {"k": 2, "score_func": "f", "stability": 3}, "stability", "stability_resamples"),
            ("l1", {"strength": 0.1}, "strength", "alpha"),
            ("l1", {"alpha": 0.1, "k": 2}, "k", "max_features"),
            ("rfe", {"k": 2}, "k", "n_features_to_select"),
            ("pca", {"components": 2}, "components", "n_components"),
        )
    ),
    (model(study={"trials": 3}), f"{MODEL}.study", "trials", "n_trials"),
    (model(study={"prune": "none"}), f"{MODEL}.study", "prune", "pruner"),
    *(
        (tree(**{old: value}), path, old, new)
        for tree, path in (
            (training, "training"),
            (lambda **options: model(training=options), f"{MODEL}.training"),
        )
        for old, value, new in (
            ("keep", "best", "checkpoint"),
            ("start", {"model": "m"}, "pretrained"),
            ("accumulate", 2, "accumulate_grad_batches"),
            ("tasks", {"name": "fixed"}, "loss_weights"),
            ("base", "last", "difference"),
            ("imbalance", "none", "class_balance"),
            ("gradient_clip", 1.0, "gradient_clip_norm"),
            ("ema", 0.9, "ema_decay"),
            ("threads", 2, "num_threads"),
        )
    ),
    *(
        (tree(**{block: {**options, old: value}}), f"{path}.{block}", old, new)
        for tree, path in (
            (training, "training"),
            (lambda **options: model(training=options), f"{MODEL}.training"),
        )
        for block, options, old, value, new in (
            ("pretrained", {"model": "m"}, "freeze", 1, "freeze_epochs"),
            ("pretrained", {"model": "m"}, "gradual", 1, "unfreeze_every"),
            ("pretrained", {"model": "m"}, "decay", 0.5, "layer_lr_decay"),
            ("loss", {"name": "cross_entropy"}, "smoothing", 0.1, "label_smoothing"),
            ("loss", {"name": "quantile"}, "levels", [0.5], "quantiles"),
            ("schedule", {"name": "cosine"}, "warmup", 1, "warmup_epochs"),
            ("schedule", {"name": "step"}, "every", 3, "step_size"),
            ("schedule", {"name": "step", "step_size": 3}, "factor", 0.5, "gamma"),
            ("schedule", {"name": "exponential"}, "factor", 0.5, "gamma"),
            ("schedule", {"name": "cosine"}, "floor", 0.1, "min_lr_ratio"),
            ("schedule", {"name": "one_cycle"}, "rise", 0.3, "pct_start"),
            ("augment", {}, "crop", 2, "crop_padding"),
            ("augment", {}, "rescale", 0.1, "intensity_scale"),
            ("augment", {}, "fill", "wrap", "fill_mode"),
            ("augment", {}, "constant", 0.0, "fill_value"),
        )
    ),
    *(
        (model(network={**options, old: value}), f"{MODEL}.network", old, new)
        for options, old, value, new in (
            (MLP, "embedding", 3, "embedding_dim"),
            ({"family": "rnn"}, "embedding", 3, "embedding_dim"),
            ({"family": "cnn"}, "design", "plain", "architecture"),
            (AUTOENCODER, "design", "dense", "architecture"),
            (GAN, "design", "dense", "architecture"),
            (PLAIN, "kernel", 3, "kernel_size"),
            (CYCLEGAN, "kernel", 3, "kernel_size"),
            ({"family": "cnn", "architecture": "fcn"}, "kernels", [3], "kernel_sizes"),
            ({"family": "cnn", "architecture": "resnet"}, "width", 2, "widen_factor"),
            (AUTOENCODER, "latent", 3, "latent_dim"),
            (AUTOENCODER, "code", "linear", "latent_activation"),
            (AUTOENCODER, "output", "linear", "output_activation"),
            (AUTOENCODER, "purpose", {"name": "reduction"}, "mode"),
            (GAN, "latent", 3, "latent_dim"),
            (GAN, "output", "linear", "output_activation"),
            (GAN, "numbers", "ranks", "numeric_transform"),
            (GAN, "condition", "none", "conditioning"),
            (GAN, "embedding", 3, "embedding_dim"),
            (GAN, "n_critic", 2, "discriminator_steps"),
            (GAN, "critic_rate", 2.0, "discriminator_lr_factor"),
            (GAN, "evaluate_every", 2, "validate_every"),
            (CYCLEGAN, "output", "linear", "output_activation"),
            (CYCLEGAN, "critic_rate", 2.0, "discriminator_lr_factor"),
            (CYCLEGAN, "evaluate_every", 2, "validate_every"),
            (CYCLEGAN, "critic", {"layers": 2}, "discriminator"),
            (CYCLEGAN, "cycle", 5.0, "lambda_cycle"),
            (CYCLEGAN, "identity", 0.1, "lambda_identity"),
            (CYCLEGAN, "pool", 3, "pool_size"),
            (CYCLEGAN, "into", "a", "target_class"),
        )
    ),
    *(
        (model(network={**network, block: {**options, old: value}}), f"{MODEL}.network.{block}", old, new)
        for network, block, options, old, value, new in (
            (AUTOENCODER, "variant", {"name": "sparse"}, "target", 0.1, "target_activation"),
            (AUTOENCODER, "variant", {"name": "variational"}, "warmup", 2, "warmup_epochs"),
            (AUTOENCODER, "mode", {"name": "anomaly"}, "normal", ["a"], "normal_classes"),
            (GAN, "loss", {"name": "minimax"}, "smoothing", 0.1, "label_smoothing"),
            (GAN, "loss", {"name": "wasserstein_clip"}, "clip", 0.1, "clip_value"),
            (GAN, "loss", {"name": "wasserstein_gp"}, "penalty", 1.0, "lambda_gp"),
        )
    ),
]


@pytest.mark.parametrize(("tree", "path", "old", "new"), KEYS, ids=[f"{path}.{old}" for _, path, old, _ in KEYS])
def test_former_key_is_rejected_with_the_new_name(tree: Tree, path: str, old: str, new: str) -> None:
    with pytest.raises(ParamsError) as error:
        parse_params(tree)
    message = str(error.value).partition(" (and ")[0]  # a key of the base is an error in every model too
    assert message == f"params.yaml: {path}.{old} was renamed; use {path}.{new}"


VALUES = [
    # tree, path of the key, former value, new value
    (dataset({**TEXT, "task": "language"}), f"{DATASET}.task", "language", "language_modeling"),
    (dataset(TABLE, format={"dates": "day_first"}), f"{DATASET}.format.dates", "day_first", "dayfirst"),
    (dataset(TABLE, format={"dates": "month_first"}), f"{DATASET}.format.dates", "month_first", "monthfirst"),
    (dataset(TABLE, missing={"categorical": "own"}), f"{DATASET}.missing.categorical", "own", "missing_category"),
    (dataset(SERIES, missing="previous"), f"{DATASET}.missing", "previous", "ffill"),
    (dataset(TABLE, split={"by": "column"}), f"{DATASET}.split.by", "column", "predefined"),
    (model(study={"pruner": "two_stage"}), f"{MODEL}.study.pruner", "two_stage", "median_then_wilcoxon"),
    (training(pretrained={"model": "m", "layers": "body"}), "training.pretrained.layers", "body", "backbone"),
    (training(difference="season"), "training.difference", "season", "seasonal"),
    (model(training={"difference": "season"}), f"{MODEL}.training.difference", "season", "seasonal"),
    (training(class_balance="weights"), "training.class_balance", "weights", "weighted_loss"),
    (training(class_balance="sampling"), "training.class_balance", "sampling", "weighted_sampler"),
    (model(network={**MLP, "init": "zero"}), f"{MODEL}.network.init", "zero", "zeros"),
    (
        model(network={"family": "cnn", "architecture": "stack"}),
        f"{MODEL}.network.architecture",
        "stack",
        "plain",
    ),
    (model(network={**PLAIN, "head": "global"}), f"{MODEL}.network.head", "global", "global_average"),
    (
        model(network={**GAN, "numeric_transform": "ranks"}),
        f"{MODEL}.network.numeric_transform",
        "ranks",
        "quantile",
    ),
    (model(network={**GAN, "numeric_transform": "scaled"}), f"{MODEL}.network.numeric_transform", "scaled", "none"),
]


@pytest.mark.parametrize(("tree", "path", "old", "new"), VALUES, ids=[f"{path}: {old}" for _, path, old, _ in VALUES])
def test_former_value_is_rejected_with_the_new_name(tree: Tree, path: str, old: str, new: str) -> None:
    with pytest.raises(ParamsError) as error:
        parse_params(tree)
    message = str(error.value).partition(" (and ")[0]
    assert message.startswith(f"params.yaml: {path} must be ")
    assert message.endswith(f", but is {old!r}; {old!r} is now {new!r}")


def test_every_rename_is_tested() -> None:
    assert {(old, new) for _, _, old, new in KEYS} == {
        (old, new) for old, names in RENAMED_KEYS.items() for new in names
    }
    assert {(path.rpartition(".")[2], old, new) for _, path, old, new in VALUES} == {
        (key, old, new) for key, values in RENAMED_VALUES.items() for old, new in values.items()
    }


def test_former_value_of_another_key_gets_no_hint() -> None:
    with pytest.raises(ParamsError, match=r"datasets\.other\.normalize must be .*, but is 'scaled'; change it"):
        parse_params(dataset(TABLE, normalize="scaled"))
