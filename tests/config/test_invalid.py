"""Every kind of bad params.yaml gives one line: dotted key, value, rule, remedy."""

import math
import re
from pathlib import Path
from typing import Any

import pytest

from fivefold.config.loading import load_params, parse_params
from fivefold.errors import ParamsError

from .example import ABSENT, changed, example, renamed

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
ALONE = {
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
    "length": 4,
    "split": {"validation": 0.1, "test": 0.1, "by": "stratified"},
}

BAD = [
    # key, value, what the line says after `params.yaml: `
    ("seeds", 3, "seeds is not a known key, but holds 3; did you mean 'seed'?"),
    ("training.max_epoch", 3, "training.max_epoch is not a known key, but holds 3; did you mean 'max_epochs'?"),
    ("training.zzz", 3, "training.zzz is not a known key, but holds 3; remove it; params.schema.json lists the keys"),
    (
        "models.flat.select",
        {"method": "autoencoder", "model": "wide"},
        "models.flat.select.model is not a known key, but holds 'wide'; write `uses: wide` beside `select`",
    ),
    ("models.flat.network.hiden", [3], "models.flat.network.hiden is not a known key, but holds [3]; did you mean"),
    ("models.flat.training.batchsize", 3, "models.flat.training.batchsize is not a known key, but holds 3; did you"),
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
    ("training.pretrained", {"freeze": 2}, "training.pretrained.model is required, but is missing; add it"),
    ("training.pretrained", {"model": "../x"}, "training.pretrained.model must match pattern"),
    (
        "training.pretrained",
        {"model": "m", "frezze": 2},
        "training.pretrained.frezze is not a known key, but holds 2; did you mean",
    ),
    (
        "training.pretrained",
        {"model": "m", "decay": 0.0},
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
    ("datasets.cells.split.test", 1.0, "datasets.cells.split.test must be a share below 1, or a whole number, but is"),
    ("datasets.cells.split.test", 2.5, "datasets.cells.split.test must be a share below 1, or a whole number, but is"),
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
        {"max_epochs": 3, "schedule": {"name": "cosine", "warmup": 3}},
        "models.flat.training.schedule.warmup_epochs: a warmup must end before the training, but takes 3 epochs where"
        " max_epochs is 3; shorten it, or raise max_epochs",
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
        "models.wide.network.architecture must be one of 'tutorial', 'stack', 'vgg', 'resnet', 'fcn', 'resnet1d', 'tcn', but",
    ),
    (
        "models.wide.network.architecture",
        "tutorial",
        "models.wide.network.channels is not a known key, but holds [4, 8]; ",
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
        "models.wide.network.architecture: fcn needs whole sequences, series or texts, but pens is of kind images and"
        " select.method is none; choose family mlp, or tutorial | stack | vgg | resnet with select {method: none}",
    ),
    (
        "models.wide.network",
        {"family": "cnn", "architecture": "vgg", "channels": [8, 8]},
        "models.wide.network.convolutions: must be one number for each of channels, 2, but holds 4; make them equally",
    ),
    ("models.flat.network.residual", True, "models.flat.network.residual: begins with the second hidden layer, but"),
    ("models.wide.network.kernel_size", 4, "models.wide.network.kernel_size must be 1, 3, 5 or 7, but is 4; change it"),
    ("datasets.pens.normalize", "l2", "datasets.pens.normalize must be 'standard', 'minmax' or 'none', but is 'l2';"),
    (
        "datasets.cells.split.by",
        "site",
        "datasets.cells.split.by must be one of 'stratified', 'random', 'group', 'time',",
    ),
    ("datasets.cells.split.column", "a", "datasets.cells.split.column is not a known key, but holds 'a'; remove it"),
    (
        "datasets.cells",
        {**TEXT, "target": "y", "normalize": "minmax"},
        "datasets.cells.normalize is not a known key, but holds 'minmax'; remove it; params.schema.json lists the keys",
    ),
    (
        "datasets.cells.split.tets",
        0.1,
        "datasets.cells.split.tets is not a known key, but holds 0.1; did you mean 'test'",
    ),
    (
        "datasets.cells.missing",
        {"constant": 5.0},
        "datasets.cells.missing.fill_value must be left out, or `numeric` be constant and not median, but is 5.0",
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
        {"a": {"type": "numeric", "order": ["x", "y"]}},
        "datasets.cells.columns.a.order must be left out, or `type` be ordinal and not numeric, but is ['x', 'y']; ch",
    ),
    (
        "datasets.cells.columns",
        {"yes": {"order": ["x", "y"]}},
        "datasets.cells.columns must say no `order` of the target 'yes', since `task` says what it is, but is {'yes':",
    ),
    (
        "datasets.cells.columns",
        {"yes": {"min": 0, "normalize": "none"}},
        "datasets.cells.columns must say no `normalize` of the target 'yes', since `task` says what it is, but is",
    ),
    ("datasets.cells.columns", {"a": {"min": "0"}}, "datasets.cells.columns.a.min must be a valid number, but is '0';"),
    (
        "datasets.cells.missing",
        {"numeric": "zero"},
        "datasets.cells.missing.numeric must be 'median', 'mean', 'most_fr",
    ),
    ("datasets.cells.missing", {"own": True}, "datasets.cells.missing.own is not a known key, but holds True; "),
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
    ("models.flat.dataset", "nope", "models.flat.dataset: must name a dataset, but is 'nope'; params.yaml has cells,"),
    (
        "models.flat.dataset",
        "mixes",
        "models.flat.select.score_func: chi2 compares classes, but the task is regression;",
    ),
    (
        "models.wide.dataset",
        "cells",
        "models.wide.network.architecture: plain needs whole images, but cells is of kind table and select.method is none;"
        " choose family mlp",
    ),
    (
        "models.wide.select",
        {"method": "pca", "components": 2},
        "models.wide.network.architecture: plain needs whole images, but pens is of kind images and select.method is pca;"
        " choose family mlp, or tutorial | stack | vgg | resnet with select {method: none}",
    ),
    (
        "models.flat.training",
        {"loss": {"name": "mae"}},
        "models.flat.training.loss.name: classification can have auto, cross_entropy, focal, bce, but not mae;",
    ),
    (
        "models.line.training",
        {"loss": {"name": "quantile", "levels": [0.9, 0.1]}},
        "models.line.training.loss.quantiles: levels must rise, but are [0.9, 0.1]; put them in order, each once",
    ),
    (
        "models.flat.training",
        {"batch_size": 4, "accumulate_grad_batches": 5},
        "models.flat.training.accumulate_grad_batches: a batch of 4 rows cannot go through in 5 parts (accumulate times devices);"
        " raise batch_size",
    ),
    (
        "models.flat.training",
        {"batch_size": 4, "accumulate_grad_batches": 2, "devices": 3},
        "models.flat.training.devices: a batch of 4 rows cannot go through in 6 parts (accumulate times devices);"
        " raise batch_size",
    ),
    (
        "models.flat.training",
        {"accelerator": "mps", "devices": 2},
        "models.flat.training.devices: mps is one device, but devices is 2; choose devices 1 or accelerator cpu",
    ),
    ("datasets.mixes.split.by", "stratified", "datasets.mixes.split.by: stratified needs classes, but the task is"),
    (
        "datasets.pens.split",
        GROUPS,
        "datasets.pens.split.by: classification of images can be split by stratified, rand",
    ),
    (
        "datasets.cells.split",
        {**SHARES, "by": "time"},
        "datasets.cells.split.column: a split by time needs a column to",
    ),
    (
        "datasets.cells",
        {**SERIES, "exogenous": ["a", "t"]},
        "datasets.cells.targets: time, targets and exogenous must name each column once, but name one twice;",
    ),
    (
        "datasets.cells",
        {**SERIES, "split": {**SHARES, "by": "random"}},
        "datasets.cells.split.by must be 'time', but is 'random'; change it",
    ),
    (
        "datasets.cells",
        {**TEXT, "target": "text"},
        "datasets.cells.target: text and target must be two columns, but both are 'text'; name the label",
    ),
    ("datasets.cells", TEXT, "datasets.cells.target: a text needs the column of its label, but target is empty;"),
    (
        "datasets.cells",
        {**TEXT, "task": "language"},
        "datasets.cells.split.by: language of text can be split by time, but not by stratified",
    ),
    (
        "datasets.cells",
        {**CELLS, "normalize": "l2", "columns": {"age": {"normalize": "minmax"}}},
        "datasets.cells.normalize: l2 scales whole rows, but `columns` scales single ones; choose one of them",
    ),
    (
        "models.line.training.class_balance",
        "weights",
        "models.line.training.class_balance: imbalance is of classes, but the",
    ),
    ("datasets.cells.drop", ["yes"], "datasets.cells.drop: the target is 'yes' and cannot be dropped; take it out"),
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
        "models.line.network.family: rnn reads steps in order, but mixes is of kind table and select.method is none;",
    ),
    (
        "datasets.cells",
        {key: value for key, value in CELLS.items() if key != "target"} | {"normalize": "none"},
        "datasets.cells.target: classification needs a column to predict, but target is empty; name it, or set `task:",
    ),
    (
        "datasets.cells",
        {**ALONE, "target": "yes"},
        "datasets.cells.target: an unsupervised task has no target; leave it out, or choose classification or regr",
    ),
    (
        "datasets.cells",
        {**ALONE, "missing": {"target": "drop"}},
        "datasets.cells.missing.target: an unsupervised task has no target; leave it out, or choose classification or",
    ),
    (
        "datasets.cells",
        {**ALONE, "split": CELLS["split"]},
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
        ALONE,
        "models.line.network.family: mlp learns a target, but mixes has none, since its task is unsupervised; choose"
        " autoencoder or gan, or set task and target",
    ),
    ("datasets.mixes.split", SHARES, "datasets.mixes.split: validation and test must leave training rows, but take"),
]


@pytest.mark.parametrize(("key", "value", "line"), BAD)
def test_a_bad_value_is_named_with_its_key_and_the_remedy(key: str, value: object, line: str) -> None:
    with pytest.raises(ParamsError, match=rf"\Aparams\.yaml: {re.escape(line)}[^\n]*\Z"):
        parse_params(changed(key, value))


PATTERN = "must match pattern '^[a-z0-9][a-z0-9_-]{0,62}$', but is "


@pytest.mark.parametrize("block", ["datasets", "models"])
@pytest.mark.parametrize("name", ["../x", "a/b", "..", "/etc", "", "A", "-x", "_x", "a.b", "a b", "ä", "a" * 64, "~"])
def test_a_name_that_could_leave_its_folder_is_refused(block: str, name: str) -> None:
    line = f"a name under `{block}` {PATTERN}{name!r}; change it"
    with pytest.raises(ParamsError, match=rf"\Aparams\.yaml: {re.escape(line)}\Z"):
        parse_params(renamed(block, name))


@pytest.mark.parametrize("name", ["a", "0", "a" * 63, "breast-cancer_2"])
def test_a_plain_name_is_taken(name: str) -> None:
    assert name in parse_params(renamed("datasets", name)).datasets


def test_a_dataset_named_by_a_model_is_checked_as_a_name() -> None:
    with pytest.raises(ParamsError, match=re.escape(f"models.flat.dataset {PATTERN}'../x'; change it")):
        parse_params(changed("models.flat.dataset", "../x"))


def test_a_fault_in_the_base_is_named_there_and_not_in_a_model_that_inherits_it() -> None:
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
def test_designs_of_steps_take_every_kind_that_has_steps(block: dict[str, Any], design: str) -> None:
    tree = changed("datasets.pens", block)
    tree["models"]["wide"]["network"] = {"family": "cnn", "architecture": design}
    assert parse_params(tree).models["wide"].network.family == "cnn"


def test_a_design_of_images_takes_no_steps() -> None:
    line = "models.wide.network.architecture: plain needs whole images, but pens is of kind series and select.method is none;"
    with pytest.raises(ParamsError, match=rf"{re.escape(line)} choose family mlp, or fcn \| resnet1d \| tcn with"):
        parse_params(changed("datasets.pens", SERIES))


def test_a_kernel_is_needed_for_each_layer() -> None:
    tree = changed("datasets.pens", SERIES)
    tree["models"]["wide"]["network"] = {"family": "cnn", "architecture": "fcn", "kernel_sizes": []}
    line = (
        "models.wide.network.kernel_sizes: must be one number for each of channels, 3, but holds 0; make them equally"
    )
    with pytest.raises(ParamsError, match=re.escape(line)):
        parse_params(tree)


OF_BATCHES: list[Any] = [
    ("cells", {"family": "mlp", "norm": "batch"}),
    ("pens", {"family": "cnn", "architecture": "stack", "norm": "batch"}),
    ("pens", {"family": "cnn", "architecture": "vgg"}),
    ("pens", {"family": "cnn", "architecture": "resnet"}),
    ("waves", {"family": "cnn", "architecture": "fcn"}),
    ("waves", {"family": "cnn", "architecture": "resnet1d"}),
]


@pytest.mark.parametrize(("dataset", "network"), OF_BATCHES, ids=lambda value: str(value))
@pytest.mark.parametrize(("batch", "accumulate_grad_batches", "devices"), [(1, 1, 1), (5, 3, 1), (7, 2, 2)])
def test_batch_norm_needs_two_rows_at_a_time(
    dataset: str, network: dict[str, Any], batch: int, accumulate: int, devices: int
) -> None:
    tree = example()
    tree["datasets"]["waves"] = SERIES
    wide = tree["models"]["wide"]
    wide |= {"dataset": dataset, "network": network}
    wide["training"] = {"batch_size": batch, "accumulate_grad_batches": accumulate, "devices": devices}
    line = (
        "params.yaml: models.wide.training.batch_size: batch norm compares rows, so 2 or more must go through at a"
        f" time, but a batch of {batch} in {accumulate * devices} parts (accumulate times devices) can leave 1;"
        " raise batch_size"
    )
    with pytest.raises(ParamsError, match=rf"\A{re.escape(line)}\Z"):
        parse_params(tree)
    wide["training"]["batch_size"] = 2 * accumulate * devices
    assert parse_params(tree).models["wide"].training.batch_size == 2 * accumulate * devices


@pytest.mark.parametrize("architecture", ["tutorial", "stack"])
def test_without_batch_norm_a_batch_may_be_one_row(design: str) -> None:
    tree = changed("models.wide.network", {"family": "cnn", "architecture": design})
    tree["models"]["wide"]["training"] = {"batch_size": 1}
    assert parse_params(tree).models["wide"].training.batch_size == 1


@pytest.mark.parametrize("left_out", [{"drop": ["a"]}, {"split": {**GROUPS, "column": "a"}}])
def test_a_column_that_is_no_feature_cannot_be_described(left_out: dict[str, Any]) -> None:
    tree = changed("datasets.cells.columns", {"a": {"type": "numeric"}})
    tree["datasets"]["cells"] |= left_out
    line = "datasets.cells.columns.a: is no feature, since `drop` or `split.column` names it too; take one of them out"
    with pytest.raises(ParamsError, match=rf"\Aparams\.yaml: {re.escape(line)}\Z"):
        parse_params(tree)


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("bidirectional", True, "the next token cannot be told from a later one, so it must be false, but is true"),
        ("pool", "mean", "the next token is told after the last one, so it must be last, but is mean"),
    ],
)
def test_a_recurrent_language_model_reads_forwards_only(key: str, value: object, line: str) -> None:
    tree = changed("datasets.mixes", {**TEXT, "task": "language", "split": {**SHARES, "test": 0.1, "by": "time"}})
    tree["models"]["line"]["network"] = {"family": "rnn"}
    assert parse_params(tree).models["line"].network.family == "rnn"
    tree["models"]["line"]["network"][key] = value
    with pytest.raises(ParamsError, match=rf"\Aparams\.yaml: {re.escape(f'models.line.network.{key}: {line}')}\Z"):
        parse_params(tree)


@pytest.mark.parametrize(("kind", "pool"), [("table", "mean"), ("text", "flatten")])
def test_tokens_in_a_row_are_of_a_bag_of_text(kind: str, pool: str) -> None:
    tree = changed("datasets.mixes", {**TEXT, "target": "mood"}) if kind == "text" else changed("seed", 0)
    tree["models"]["line"]["network"] = {"family": "mlp", "pool": pool, "ngrams": 2}
    line = f"is of text with pool mean, but mixes is of kind {kind} and pool is {pool}; leave it out"
    with pytest.raises(ParamsError, match=rf"\Aparams\.yaml: {re.escape(f'models.line.network.ngrams: {line}')}\Z"):
        parse_params(tree)


def test_an_unknown_check_lists_the_known_ones() -> None:
    with pytest.raises(ParamsError, match=r"must be 'missing', 'constant', .* or 'cut', but is 'leak'; change it\Z"):
        parse_params(changed("datasets.cells.checks", {"leak": "off"}))


def test_further_faults_are_counted() -> None:
    tree = changed("seed", -1)
    tree["datasets"]["cells"]["normalize"] = "log"
    with pytest.raises(ParamsError, match=r"seed must be .*, but is -1; change it \(and 1 more\)\Z"):
        parse_params(tree)


FILES = [
    (b"", "must hold the blocks seed, training, datasets and models, but holds None"),
    (b"# nothing\n", "must hold the blocks seed, training, datasets and models, but holds None"),
    (b"- 1\n", r"must hold the blocks seed, training, datasets and models, but holds \[1\]"),
    (b"seed: [", "must be YAML 1.2 in UTF-8, but is not: .* line 1.*; mend that line"),
    (b"\tseed: 1", "must be YAML 1.2 in UTF-8, but is not: .* cannot start any token.*; mend that line"),
    (b"seed: !!python/object:os.system x", "must be YAML 1.2 in UTF-8, but is not: could not determine a constructor"),
    (b"seed: 1\n---\nseed: 2\n", "must be YAML 1.2 in UTF-8, but is not: expected a single document"),
    ("seed: ä".encode("latin1"), "must be YAML 1.2 in UTF-8, but is not: 'utf-8' codec can't decode byte 0xe4"),
    (b"\x00", "must be YAML 1.2 in UTF-8, but is not: .*special characters are not allowed"),
]


@pytest.mark.parametrize(("content", "line"), FILES)
def test_a_file_that_is_no_params_is_refused_in_one_line(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(ParamsError, match=rf"\A{re.escape(str(path))} {line}[^\n]*\Z"):
        load_params(path)


def test_a_missing_file_tells_where_to_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match=r"\Aparams\.yaml must exist, but does not; run this in the project's root\Z"):
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
def test_an_odd_value_of_yaml_is_refused_in_one_line(tree: Any) -> None:
    with pytest.raises(ParamsError, match=r"\Aparams\.yaml: [^\n]*\Z"):
        parse_params(tree)


def test_a_block_that_contains_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("training: &t {optimizer: *t}\n")
    with pytest.raises(ParamsError, match="training"):
        load_params(path)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="must be"):
        load_params(tmp_path)
