"""An invalid params.yaml is reported in one line: dotted key, rule, value, remedy."""

import math
import re
from pathlib import Path
from typing import Any

import pytest

from fivefold.config.loading import load_params, parse_params
from fivefold.errors import ParamsError

from .helpers import ABSENT, changed, example, renamed

GROUPS = {"validation": 0.2, "test": 0.2, "by": "group", "column": "site"}
SHARES = {"validation": 0.5, "test": 0.5, "by": "random"}
SERIES = {
    "kind": "series",
    "source": "a.csv",
    "task": "forecasting",
    "time": "t",
    "targets": ["a"],
    "window": 4,
    "split": {"validation": 9, "test": 9, "by": "time"},
    "normalize": "none",
}
CELLS = {
    "kind": "table",
    "source": "a.csv",
    "task": "classification",
    "target": "yes",
    "split": {"validation": 0.1, "test": 0.1, "by": "stratified"},
}
UNSUPERVISED = {
    "kind": "table",
    "source": "a.csv",
    "task": "unsupervised",
    "split": {**SHARES, "test": 0.2},
    "normalize": "none",
}
TEXT = {
    "kind": "text",
    "source": "a.csv",
    "task": "classification",
    "max_length": 4,
    "split": {"validation": 0.1, "test": 0.1, "by": "stratified"},
}

INVALID_VALUES = [
    # key, value, start of the message after `params.yaml: `
    ("seeds", 3, "seeds is not a known key, but is set to 3; did you mean 'seed'?"),
    ("training.max_epoch", 3, "training.max_epoch is not a known key, but is set to 3; did you mean 'max_epochs'?"),
    (
        "training.zzz",
        3,
        "training.zzz is not a known key, but is set to 3; remove it; params.schema.json lists the keys",
    ),
    (
        "models.flat.select",
        {"method": "autoencoder", "model": "wide"},
        "models.flat.select.model is not a known key, but is set to 'wide'; set `depends_on: wide` next to `select`",
    ),
    (
        "models.flat.network.hiden",
        [3],
        "models.flat.network.hiden is not a known key, but is set to [3]; did you mean 'hidden'?",
    ),
    (
        "models.flat.training.batchsize",
        3,
        "models.flat.training.batchsize is not a known key, but is set to 3; did you mean 'batch_size'?",
    ),
    ("training.max_epochs", "fifty", "training.max_epochs must be a valid integer, but is 'fifty'; change it"),
    ("training.max_epochs", "50", "training.max_epochs must be a valid integer, but is '50'; change it"),
    ("training.max_epochs", 50.0, "training.max_epochs must be a valid integer, but is 50.0; change it"),
    ("training.max_epochs", True, "training.max_epochs must be a valid integer, but is True; change it"),
    ("training.gradient_clip_norm", True, "training.gradient_clip_norm must be a valid number, but is True; change it"),
    ("seed", False, "seed must be a valid integer, but is False; change it"),
    ("datasets.cells.target", 5, "datasets.cells.target must be a valid string, but is 5; change it"),
    ("models.flat.network", "mlp", "models.flat.network must be a block of keys, but is 'mlp'; change it"),
    ("models.flat.training", None, "models.flat.training must be a block of keys, but is None; change it"),
    ("models", [1], "models must be a block of keys, but is [1]; change it"),
    ("training.optimizer.lr", math.nan, "training.optimizer.lr must be a finite number, but is nan; change it"),
    ("training.optimizer.lr", math.inf, "training.optimizer.lr must be a finite number, but is inf; change it"),
    ("training.checkpoint_seconds", -math.inf, "training.checkpoint_seconds must be a finite number, but is -inf;"),
    ("training.optimizer.lr", 0.0, "training.optimizer.lr must be greater than 0, but is 0.0; change it"),
    ("training.pretrained", {"freeze_epochs": 2}, "training.pretrained.model is required, but is missing; add it"),
    ("training.pretrained", {"model": "../x"}, "training.pretrained.model must match pattern"),
    (
        "training.pretrained",
        {"model": "m", "freeze_epoch": 2},
        "training.pretrained.freeze_epoch is not a known key, but is set to 2; did you mean 'freeze_epochs'?",
    ),
    (
        "training.pretrained",
        {"model": "m", "layer_lr_decay": 0.0},
        "training.pretrained.layer_lr_decay must be greater than 0, but is 0.0; change it",
    ),
    ("training.pretrained", {"model": "m", "alias": "a b"}, "training.pretrained.alias must match pattern"),
    ("training.patience", -1, "training.patience must be greater than or equal to 0, but is -1; change it"),
    ("seed", 2**32, "seed must be less than 4294967296, but is 4294967296; change it"),
    ("models.flat.network.dropout", 1, "models.flat.network.dropout must be less than 1, but is 1; change it"),
    ("models.flat.network.hidden", [8, 0], "models.flat.network.hidden.1 must be greater than 0, but is 0; change it"),
    ("datasets.cells.split.test", 0.0, "datasets.cells.split.test must be greater than 0, but is 0.0; change it"),
    ("datasets.cells.split.test", 0, "datasets.cells.split.test must be greater than 0, but is 0; change it"),
    ("datasets.cells.split.test", -3, "datasets.cells.split.test must be greater than 0, but is -3; change it"),
    (
        "datasets.cells.split.test",
        1.0,
        "datasets.cells.split.test must be a fraction below 1 or an integer, but is 1.0; change it",
    ),
    (
        "datasets.cells.split.test",
        2.5,
        "datasets.cells.split.test must be a fraction below 1 or an integer, but is 2.5; change it",
    ),
    ("datasets.cells.split.test", True, "datasets.cells.split.test must be a valid number, but is True; change it"),
    ("datasets.cells.split.test", "all", "datasets.cells.split.test must be a valid number, but is 'all'; change it"),
    ("seed", ABSENT, "seed is required, but is missing; add it"),
    ("models.flat.select.k", ABSENT, "models.flat.select.k is required, but is missing; add it"),
    ("datasets.cells.split.by", ABSENT, "datasets.cells.split.by is required, but is missing; add it"),
    ("models.flat.network.family", ABSENT, "models.flat.network.family is required, but is missing; add it"),
    (
        "models.flat.network.family",
        "svm",
        "models.flat.network.family must be one of 'mlp', 'cnn', 'rnn', 'autoencoder', 'gan', 'cyclegan', but is 'svm'",
    ),
    (
        "datasets.cells.kind",
        "sound",
        "datasets.cells.kind must be one of 'table', 'images', 'sequences', 'series', 'te",
    ),
    (
        "training.schedule",
        {"name": "cosin"},
        "training.schedule.name must be one of 'constant', 'step', 'exponential', 'cosine', 'one_cycle', 'plateau',",
    ),
    (
        "models.flat.training",
        {"max_epochs": 3, "schedule": {"name": "cosine", "warmup_epochs": 3}},
        "models.flat.training.schedule.warmup_epochs: must be less than max_epochs, 3, but is 3; lower it, or"
        " raise max_epochs",
    ),
    ("training.precision", 32, "training.precision must be '32', 'bf16' or '16', but is 32; change it"),
    (
        "models.wide.network.architecture",
        ABSENT,
        "models.wide.network.architecture is required, but is missing; add it",
    ),
    (
        "models.wide.network.architecture",
        "alexnet",
        "models.wide.network.architecture must be one of 'tutorial', 'plain', 'vgg', 'resnet', 'fcn', 'resnet1d',"
        " 'tcn', but",
    ),
    (
        "models.wide.network.architecture",
        "tutorial",
        "models.wide.network.channels is not a known key, but is set to [4, 8]; remove it; params.schema.json"
        " lists the keys",
    ),
    ("models.wide.network.channels", [4, 0], "models.wide.network.channels.1 must be greater than 0, but is 0; change"),
    (
        "models.wide.network",
        {"family": "cnn", "architecture": "resnet", "depth": 18},
        "models.wide.network.depth must be 8, 14 or 20, but is 18; change it",
    ),
    (
        "models.wide.network",
        {"family": "cnn", "architecture": "fcn"},
        "models.wide.network.architecture: fcn needs complete sequences, series or texts, but pens is of kind"
        " images and select.method is none; choose family mlp, or tutorial | plain | vgg | resnet with select"
        " {method: none}",
    ),
    (
        "models.wide.network",
        {"family": "cnn", "architecture": "vgg", "channels": [8, 8]},
        "models.wide.network.convolutions: must be as long as channels, 2, but has length 4; make them equally long",
    ),
    (
        "models.flat.network.residual",
        True,
        "models.flat.network.residual: needs at least two hidden layers, but hidden has 1; add layers or remove it",
    ),
    ("models.wide.network.kernel_size", 4, "models.wide.network.kernel_size must be 1, 3, 5 or 7, but is 4; change it"),
    ("datasets.pens.normalize", "l2", "datasets.pens.normalize must be 'standard', 'minmax' or 'none', but is 'l2';"),
    (
        "datasets.cells.split.by",
        "site",
        "datasets.cells.split.by must be one of 'stratified', 'random', 'group', 'time',",
    ),
    (
        "datasets.cells.split.column",
        "a",
        "datasets.cells.split.column is not a known key, but is set to 'a'; remove it; params.schema.json lists"
        " the keys",
    ),
    (
        "datasets.cells",
        {**TEXT, "target": "y", "normalize": "minmax"},
        "datasets.cells.normalize is not a known key, but is set to 'minmax'; remove it; params.schema.json lists"
        " the keys",
    ),
    (
        "datasets.cells.split.tets",
        0.1,
        "datasets.cells.split.tets is not a known key, but is set to 0.1; did you mean 'test'?",
    ),
    (
        "datasets.cells.missing",
        {"fill_value": 5.0},
        "datasets.cells.missing.fill_value must be omitted unless `numeric` is constant (it is median), but is"
        " 5.0; change it",
    ),
    (
        "datasets.cells.split",
        {"by": "group", "validation": 0.1, "test": 0.1},
        "datasets.cells.split.column is required,",
    ),
    (
        "datasets.cells.columns",
        {"a": {"type": "word"}},
        "datasets.cells.columns.a.type must be 'numeric', 'boolean', 'c",
    ),
    (
        "datasets.cells.columns",
        {"a": {"type": "numeric", "categories": ["x", "y"]}},
        "datasets.cells.columns.a.categories must be omitted unless `type` is ordinal (it is numeric), but is"
        " ['x', 'y']; change it",
    ),
    (
        "datasets.cells.columns",
        {"yes": {"categories": ["x", "y"]}},
        "datasets.cells.columns must not set `categories` of the target 'yes', which is defined by `task`, but is"
        " {'yes': {'categories': ['x', 'y']}}; change it",
    ),
    (
        "datasets.cells.columns",
        {"yes": {"min": 0, "normalize": "none"}},
        "datasets.cells.columns must not set `normalize` of the target 'yes', which is defined by `task`, but is"
        " {'yes': {'min': 0, 'normalize': 'none'}}; change it",
    ),
    ("datasets.cells.columns", {"a": {"min": "0"}}, "datasets.cells.columns.a.min must be a valid number, but is '0';"),
    (
        "datasets.cells.missing",
        {"numeric": "zero"},
        "datasets.cells.missing.numeric must be 'median', 'mean', 'most_fr",
    ),
    (
        "datasets.cells.missing",
        {"own": True},
        "datasets.cells.missing.own is not a known key, but is set to True; remove it; params.schema.json lists"
        " the keys",
    ),
    (
        "datasets.cells.duplicates",
        "first",
        "datasets.cells.duplicates must be 'keep' or 'drop', but is 'first'; change",
    ),
    ("datasets.cells.clip", -1.5, "datasets.cells.clip must be greater than or equal to 0, but is -1.5; change it"),
    ("datasets.cells.min_frequency", 1, "datasets.cells.min_frequency must be less than 1, but is 1; change it"),
    (
        "datasets.cells.checks",
        {"leakage": "never"},
        "datasets.cells.checks.leakage must be 'error', 'warning', 'note' o",
    ),
    (
        "models.flat.dataset",
        "nope",
        "models.flat.dataset: must be a dataset of params.yaml, cells, mixes, pens, but is 'nope'; choose one",
    ),
    (
        "models.flat.dataset",
        "mixes",
        "models.flat.select.score_func: chi2 needs classes, but the task is regression; choose f or mutual_info",
    ),
    (
        "models.wide.dataset",
        "cells",
        "models.wide.network.architecture: plain needs complete images, but cells is of kind table and"
        " select.method is none; choose family mlp",
    ),
    (
        "models.wide.select",
        {"method": "pca", "n_components": 2},
        "models.wide.network.architecture: plain needs complete images, but pens is of kind images and"
        " select.method is pca; choose family mlp, or tutorial | plain | vgg | resnet with select {method: none}",
    ),
    (
        "models.flat.training",
        {"loss": {"name": "mae"}},
        "models.flat.training.loss.name: must be one of auto, cross_entropy, focal, bce for classification, but"
        " is mae; choose one",
    ),
    (
        "models.line.training",
        {"loss": {"name": "quantile", "quantiles": [0.9, 0.1]}},
        "models.line.training.loss.quantiles: must be increasing, but are [0.9, 0.1]; sort them, without duplicates",
    ),
    (
        "models.flat.training",
        {"batch_size": 4, "accumulate_grad_batches": 5},
        "models.flat.training.accumulate_grad_batches: accumulate_grad_batches x devices must be at most"
        " batch_size, 4, but is 5; raise batch_size",
    ),
    (
        "models.flat.training",
        {"batch_size": 4, "accumulate_grad_batches": 2, "devices": 3},
        "models.flat.training.devices: accumulate_grad_batches x devices must be at most batch_size, 4, but is 6;"
        " raise batch_size",
    ),
    (
        "models.flat.training",
        {"accelerator": "mps", "devices": 2},
        "models.flat.training.devices: must be 1 for accelerator mps, but is 2; set devices: 1 or accelerator: cpu",
    ),
    ("datasets.mixes.split.by", "stratified", "datasets.mixes.split.by: stratified needs classes, but the task is"),
    (
        "datasets.pens.split",
        GROUPS,
        "datasets.pens.split.by: must be one of stratified, random, predefined for classification of kind images,"
        " but is group; choose one",
    ),
    (
        "datasets.cells.split",
        {**SHARES, "by": "time"},
        "datasets.cells.split.column: a split by time needs a column to",
    ),
    (
        "datasets.cells",
        {**SERIES, "exogenous": ["a", "t"]},
        "datasets.cells.targets: time, targets and exogenous must be different columns, but one occurs twice;"
        " remove it",
    ),
    (
        "datasets.cells",
        {**SERIES, "split": {**SHARES, "by": "random"}},
        "datasets.cells.split.by must be 'time', but is 'random'; change it",
    ),
    (
        "datasets.cells",
        {**TEXT, "target": "text"},
        "datasets.cells.target: must differ from the text column, but both are 'text'; set the label column",
    ),
    ("datasets.cells", TEXT, "datasets.cells.target: classification needs a label column, but target is empty; set it"),
    (
        "datasets.cells",
        {**TEXT, "task": "language_modeling"},
        "datasets.cells.split.by: must be one of time for language_modeling of kind text, but is stratified;"
        " choose one",
    ),
    (
        "datasets.cells",
        {**CELLS, "normalize": "l2", "columns": {"age": {"normalize": "minmax"}}},
        "datasets.cells.normalize: l2 scales rows, but `columns` has a `normalize` of single columns; remove one"
        " of them",
    ),
    (
        "models.line.training.class_balance",
        "weighted_loss",
        "models.line.training.class_balance: needs classes, but the task is regression; set it to none",
    ),
    ("datasets.cells.drop", ["yes"], "datasets.cells.drop: contains the target, 'yes'; remove it"),
    (
        "models.line.network",
        {"family": "rnn", "hidden": []},
        "models.line.network.hidden must have at least 1 item, but",
    ),
    (
        "models.line.network",
        {"family": "rnn", "cell": "mlp"},
        "models.line.network.cell must be 'rnn', 'lstm' or 'gru'",
    ),
    (
        "models.line.network",
        {"family": "rnn"},
        "models.line.network.family: rnn needs complete sequences, but mixes is of kind table and select.method"
        " is none; choose family mlp, or sequences, series or text with select {method: none}",
    ),
    (
        "datasets.cells",
        {key: value for key, value in CELLS.items() if key != "target"} | {"normalize": "none"},
        "datasets.cells.target: classification needs a target column, but target is empty; set it, or set `task:"
        " unsupervised`",
    ),
    (
        "datasets.cells",
        {**UNSUPERVISED, "target": "yes"},
        "datasets.cells.target: an unsupervised task has no target; remove it, or choose classification or regression",
    ),
    (
        "datasets.cells",
        {**UNSUPERVISED, "missing": {"target": "drop"}},
        "datasets.cells.missing.target: an unsupervised task has no target; remove it, or choose classification"
        " or regression",
    ),
    (
        "datasets.cells",
        {**UNSUPERVISED, "split": CELLS["split"]},
        "datasets.cells.split.by: stratified needs classes, but the task is unsupervised; choose random",
    ),
    (
        "datasets.cells",
        {**TEXT, "task": "unsupervised"},
        "datasets.cells.task must be 'classification', 'regression' or",
    ),
    ("datasets.cells", {**SERIES, "task": "unsupervised"}, "datasets.cells.task must be 'forecasting', but is 'unsu"),
    (
        "datasets.mixes",
        UNSUPERVISED,
        "models.line.network.family: mlp needs a target, but the task of mixes is unsupervised; choose"
        " autoencoder or gan, or set task and target",
    ),
    (
        "datasets.mixes.split",
        SHARES,
        "datasets.mixes.split: validation and test must add up to less than 1, but are 0.5 and 0.5; lower one",
    ),
]


@pytest.mark.parametrize(("key", "value", "message"), INVALID_VALUES)
def test_invalid_value_is_reported_with_key_and_remedy(key: str, value: object, message: str) -> None:
    with pytest.raises(ParamsError, match=rf"\Aparams\.yaml: {re.escape(message)}[^\n]*\Z"):
        parse_params(changed(key, value))


PATTERN = "must match pattern '^[a-z0-9][a-z0-9_-]{0,62}$', but is "


@pytest.mark.parametrize("block", ["datasets", "models"])
@pytest.mark.parametrize("name", ["../x", "a/b", "..", "/etc", "", "A", "-x", "_x", "a.b", "a b", "ä", "a" * 64, "~"])
def test_name_that_is_unsafe_in_a_path_is_rejected(block: str, name: str) -> None:
    message = f"a name under `{block}` {PATTERN}{name!r}; change it"
    with pytest.raises(ParamsError, match=rf"\Aparams\.yaml: {re.escape(message)}\Z"):
        parse_params(renamed(block, name))


@pytest.mark.parametrize("name", ["a", "0", "a" * 63, "breast-cancer_2"])
def test_valid_name_is_accepted(name: str) -> None:
    assert name in parse_params(renamed("datasets", name)).datasets


def test_dataset_of_a_model_must_be_a_valid_name() -> None:
    with pytest.raises(ParamsError, match=re.escape(f"models.flat.dataset {PATTERN}'../x'; change it")):
        parse_params(changed("models.flat.dataset", "../x"))


def test_error_in_the_base_is_reported_for_the_base_and_not_for_a_model() -> None:
    with pytest.raises(ParamsError, match=r"params\.yaml: training\.max_epochs must be greater than 0, but is 0"):
        parse_params(changed("training.max_epochs", 0))


STEPS = {
    "kind": "sequences",
    "source": "a.csv",
    "task": "classification",
    "split": {"validation": 0.1, "test": 0.1, "by": "stratified"},
    "normalize": "none",
}


@pytest.mark.parametrize("architecture", ["fcn", "resnet1d", "tcn"])
@pytest.mark.parametrize("block", [SERIES, STEPS, {**TEXT, "target": "y"}], ids=["series", "sequences", "text"])
def test_sequence_architectures_accept_every_sequential_kind(block: dict[str, Any], architecture: str) -> None:
    tree = changed("datasets.pens", block)
    tree["models"]["wide"]["network"] = {"family": "cnn", "architecture": architecture}
    assert parse_params(tree).models["wide"].network.family == "cnn"


def test_image_architecture_rejects_sequences() -> None:
    message = (
        "models.wide.network.architecture: plain needs complete images, but pens is of kind series and select.method"
        " is none;"
    )
    with pytest.raises(ParamsError, match=rf"{re.escape(message)} choose family mlp, or fcn \| resnet1d \| tcn with"):
        parse_params(changed("datasets.pens", SERIES))


def test_each_layer_needs_a_kernel_size() -> None:
    tree = changed("datasets.pens", SERIES)
    tree["models"]["wide"]["network"] = {"family": "cnn", "architecture": "fcn", "kernel_sizes": []}
    message = "models.wide.network.kernel_sizes: must be as long as channels, 3, but has length 0; make them equally"
    with pytest.raises(ParamsError, match=re.escape(message)):
        parse_params(tree)


WITH_BATCH_NORM: list[Any] = [
    ("cells", {"family": "mlp", "norm": "batch"}),
    ("pens", {"family": "cnn", "architecture": "plain", "norm": "batch"}),
    ("pens", {"family": "cnn", "architecture": "vgg"}),
    ("pens", {"family": "cnn", "architecture": "resnet"}),
    ("waves", {"family": "cnn", "architecture": "fcn"}),
    ("waves", {"family": "cnn", "architecture": "resnet1d"}),
]


@pytest.mark.parametrize(("dataset", "network"), WITH_BATCH_NORM, ids=lambda value: str(value))
@pytest.mark.parametrize(("batch", "accumulate", "devices"), [(1, 1, 1), (5, 3, 1), (7, 2, 2)])
def test_batch_norm_needs_two_samples_per_micro_batch(
    dataset: str, network: dict[str, Any], batch: int, accumulate: int, devices: int
) -> None:
    tree = example()
    tree["datasets"]["waves"] = SERIES
    wide = tree["models"]["wide"]
    wide |= {"dataset": dataset, "network": network}
    wide["training"] = {"batch_size": batch, "accumulate_grad_batches": accumulate, "devices": devices}
    message = (
        "params.yaml: models.wide.training.batch_size: batch norm needs at least 2 samples per micro-batch, but a batch"
        f" of {batch} in {accumulate * devices} micro-batches (accumulate_grad_batches x devices) can leave 1;"
        " raise batch_size"
    )
    with pytest.raises(ParamsError, match=rf"\A{re.escape(message)}\Z"):
        parse_params(tree)
    wide["training"]["batch_size"] = 2 * accumulate * devices
    assert parse_params(tree).models["wide"].training.batch_size == 2 * accumulate * devices


@pytest.mark.parametrize("architecture", ["tutorial", "plain"])
def test_without_batch_norm_a_batch_may_have_one_row(architecture: str) -> None:
    tree = changed("models.wide.network", {"family": "cnn", "architecture": architecture})
    tree["models"]["wide"]["training"] = {"batch_size": 1}
    assert parse_params(tree).models["wide"].training.batch_size == 1


@pytest.mark.parametrize("changes", [{"drop": ["a"]}, {"split": {**GROUPS, "column": "a"}}])
def test_options_of_a_column_that_is_not_a_feature_are_rejected(changes: dict[str, Any]) -> None:
    tree = changed("datasets.cells.columns", {"a": {"type": "numeric"}})
    tree["datasets"]["cells"] |= changes
    message = (
        "datasets.cells.columns.a: is not a feature, since `drop` or `split.column` contains it; remove it from one of"
        " them"
    )
    with pytest.raises(ParamsError, match=rf"\Aparams\.yaml: {re.escape(message)}\Z"):
        parse_params(tree)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "bidirectional",
            True,
            "must be false for language modeling, but is true; the next token must not be part of the input",
        ),
        ("pool", "mean", "must be last for language modeling, but is mean; set pool: last"),
    ],
)
def test_recurrent_language_model_must_be_causal(key: str, value: object, message: str) -> None:
    tree = changed(
        "datasets.mixes", {**TEXT, "task": "language_modeling", "split": {**SHARES, "test": 0.1, "by": "time"}}
    )
    tree["models"]["line"]["network"] = {"family": "rnn"}
    assert parse_params(tree).models["line"].network.family == "rnn"
    tree["models"]["line"]["network"][key] = value
    with pytest.raises(ParamsError, match=rf"\Aparams\.yaml: {re.escape(f'models.line.network.{key}: {message}')}\Z"):
        parse_params(tree)


@pytest.mark.parametrize(("kind", "pool"), [("table", "mean"), ("text", "flatten")])
def test_ngrams_need_text_with_mean_pooling(kind: str, pool: str) -> None:
    tree = changed("datasets.mixes", {**TEXT, "target": "mood"}) if kind == "text" else changed("seed", 0)
    tree["models"]["line"]["network"] = {"family": "mlp", "pool": pool, "ngrams": 2}
    message = f"applies to text with pool mean, but mixes is of kind {kind} and pool is {pool}; remove it"
    with pytest.raises(ParamsError, match=rf"\Aparams\.yaml: {re.escape(f'models.line.network.ngrams: {message}')}\Z"):
        parse_params(tree)


def test_unknown_check_lists_the_known_ones() -> None:
    with pytest.raises(
        ParamsError, match=r"must be 'missing', 'constant', .* or 'truncated', but is 'leak'; change it\Z"
    ):
        parse_params(changed("datasets.cells.checks", {"leak": "off"}))


def test_further_errors_are_counted() -> None:
    tree = changed("seed", -1)
    tree["datasets"]["cells"]["normalize"] = "log"
    with pytest.raises(ParamsError, match=r"seed must be .*, but is -1; change it \(and 1 more\)\Z"):
        parse_params(tree)


FILES = [
    (b"", "must contain the blocks seed, training, datasets and models, but contains None"),
    (b"# nothing\n", "must contain the blocks seed, training, datasets and models, but contains None"),
    (b"- 1\n", r"must contain the blocks seed, training, datasets and models, but contains \[1\]"),
    (b"seed: [", "must be YAML 1.2 in UTF-8, but is not: .* line 1.*; fix that line"),
    (b"\tseed: 1", "must be YAML 1.2 in UTF-8, but is not: .* cannot start any token.*; fix that line"),
    (b"seed: !!python/object:os.system x", "must be YAML 1.2 in UTF-8, but is not: could not determine a constructor"),
    (b"seed: 1\n---\nseed: 2\n", "must be YAML 1.2 in UTF-8, but is not: expected a single document"),
    ("seed: ä".encode("latin1"), "must be YAML 1.2 in UTF-8, but is not: 'utf-8' codec can't decode byte 0xe4"),
    (b"\x00", "must be YAML 1.2 in UTF-8, but is not: .*special characters are not allowed"),
]


@pytest.mark.parametrize(("content", "message"), FILES)
def test_invalid_file_is_reported_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ParamsError, match=rf"\A{re.escape(str(path))} {message}[^\n]*\Z"):
        load_params(path)


def test_missing_file_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = r"\Aparams\.yaml must exist, but does not; run the command in the root of the project\Z"
    with pytest.raises(ParamsError, match=message):
        load_params()


ODD_TREES: list[Any] = [
    pytest.param(renamed("datasets", "a\n"), id="a line break in a name"),
    pytest.param(renamed("datasets", None), id="null as a name"),
    pytest.param(renamed("datasets", True), id="true as a name"),
    pytest.param({**example(), ("a", "b"): 1}, id="a list as a key"),
    pytest.param(changed("datasets.cells.target", "\ud800"), id="half a surrogate pair"),
    pytest.param(changed("datasets.cells.target", b"abc"), id="binary as text"),
]


@pytest.mark.parametrize("tree", ODD_TREES)
def test_value_without_json_equivalent_is_rejected_in_one_line(tree: Any) -> None:
    with pytest.raises(ParamsError, match=r"\Aparams\.yaml: [^\n]*\Z"):
        parse_params(tree)


def test_recursive_block_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("training: &t {optimizer: *t}\n")
    with pytest.raises(ParamsError, match="training"):
        load_params(path)


def test_folder_instead_of_a_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="must be"):
        load_params(tmp_path)
