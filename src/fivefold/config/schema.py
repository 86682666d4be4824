"""The schema of params.yaml and the rules that span several of its blocks."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydantic import Field

from ..errors import ParamsError
from .base import FrozenMapping, Name, StrictModel
from .datasets import DatasetConfig
from .models import Model
from .networks.autoencoder import Autoencoder
from .networks.cnn import IMAGE_ARCHITECTURES, SEQUENCE_ARCHITECTURES, Cnn, Fcn, Vgg
from .networks.cyclegan import Cyclegan
from .networks.gan import Gan
from .networks.rnn import Rnn
from .optimizers import OneCycleSchedule
from .rules.adversarial import check_cyclegan, check_gan
from .rules.autoencoder import check_autoencoder
from .rules.dependencies import check_dependencies
from .rules.targets import check_extra_targets, check_loss_weights, check_target, check_unsupervised_model
from .search import parse_ranges
from .selection import KBestSelection, PercentileSelection
from .splits import RandomSplit
from .training import CLASSIFICATION_LOSSES, REGRESSION_LOSSES, QuantileLoss, Training


class Params(StrictModel):
    """Validated contents of params.yaml."""

    seed: int = Field(ge=0, lt=2**32, description="seed of all random number generators")
    training: Training = Field(description="training settings of all models")
    datasets: FrozenMapping[Name, DatasetConfig]
    models: FrozenMapping[Name, Model]

    def dataset(self, name: str) -> DatasetConfig:
        """Return the block `datasets.<name>`.

        Raises:
            ParamsError: there is no such dataset.
        """
        if name not in self.datasets:
            raise ParamsError(
                f"dataset {name!r} is not in params.yaml, which has {_join_names(self.datasets)}; choose one of them"
            )
        return self.datasets[name]

    def model(self, name: str) -> Model:
        """Return the block `models.<name>`.

        Raises:
            ParamsError: there is no such model.
        """
        if name not in self.models:
            raise ParamsError(
                f"model {name!r} is not in params.yaml, which has {_join_names(self.models)}; choose one of them"
            )
        return self.models[name]


class Conflict(NamedTuple):
    """A key whose value is incompatible with another key."""

    key: str
    problem: str


def find_conflicts(params: Params) -> list[Conflict]:
    """Return the incompatible options of every dataset and every model, in the order of params.yaml."""
    conflicts = []
    for name, dataset in params.datasets.items():
        conflicts += [Conflict(f"datasets.{name}.{key}", problem) for key, problem in _check_dataset(dataset)]
    for name, model in params.models.items():
        prefix = f"models.{name}"
        if model.dataset not in params.datasets:
            known = _join_names(params.datasets)
            problem = f"must be a dataset of params.yaml, {known}, but is {model.dataset!r}; choose one"
            conflicts.append(Conflict(f"{prefix}.dataset", problem))
            continue
        dataset = params.datasets[model.dataset]
        conflicts += [Conflict(f"{prefix}.{key}", problem) for key, problem in _check_search(model)]
        if unsupervised := [*check_unsupervised_model(model, dataset)]:
            conflicts += [Conflict(f"{prefix}.{key}", problem) for key, problem in unsupervised]
            continue
        dependencies = check_dependencies(name, model, dataset, params.models)
        conflicts += [Conflict(f"{prefix}.{key}", problem) for key, problem in dependencies]
        if (family := _check_family(model, dataset)) is not None:
            conflicts += [Conflict(f"{prefix}.{key}", problem) for key, problem in family]
            training = (*_check_optimization(model.training), *_check_batch_size(model))
            conflicts += [Conflict(f"{prefix}.training.{key}", problem) for key, problem in training]
            continue
        training = (*_check_training(model.training, dataset), *_check_batch_size(model))
        conflicts += [Conflict(f"{prefix}.training.{key}", problem) for key, problem in training]
        conflicts += [Conflict(f"{prefix}.{key}", problem) for key, problem in _check_selection(model, dataset)]
        conflicts += [Conflict(f"{prefix}.network.{key}", problem) for key, problem in _check_network(model, dataset)]
    return conflicts


def _check_search(model: Model) -> Iterator[tuple[str, str]]:
    try:
        parse_ranges(model.search)
    except ParamsError as error:
        yield "search", str(error)
    study = model.study
    if study.sampler == "gp" and study.pruner in ("median_then_wilcoxon", "median"):
        yield "study.pruner", f"sampler gp uses complete trials only, but pruner is {study.pruner}; set it to none"
    if len(study.objectives) > 1 and study.pruner in ("median_then_wilcoxon", "median"):
        yield "study.pruner", f"pruning needs a single objective, but pruner is {study.pruner}; set it to none"
    if len(set(study.objectives)) < len(study.objectives):
        yield "study.objectives", f"must be unique, but are {', '.join(study.objectives)}; remove one"


def _check_family(model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]] | None:
    """Return the conflicts of a family without supervised targets; None for a supervised family."""
    match model.network:
        case Gan() as network:
            return check_gan(network, model, dataset)
        case Cyclegan() as network:
            return check_cyclegan(network, model, dataset)
        case Autoencoder() as network:
            return check_autoencoder(network, model, dataset)
    return None


def _check_selection(model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    select, augment = model.select, model.training.augment
    if dataset.kind == "text" and select.method != "none":
        yield "select.method", "tokens of a text are a sequence and cannot be selected; set select {method: none}"
    if (
        isinstance(select, KBestSelection | PercentileSelection)
        and select.score_func == "chi2"
        and dataset.task != "classification"
    ):
        yield "select.score_func", f"chi2 needs classes, but the task is {dataset.task}; choose f or mutual_info"
    if select.method != "none" and (transforms := (*augment.image_options, *augment.sequence_options)):
        yield (
            f"training.augment.{transforms[0]}",
            f"transforms complete images or windows, but select.method is {select.method}; set select {{method: none}},"
            " or remove it",
        )


def _check_training(training: Training, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    yield from check_loss_weights(training, dataset)
    yield from _check_optimization(training)
    if training.class_balance != "none" and dataset.task != "classification":
        yield "class_balance", f"needs classes, but the task is {dataset.task}; set it to none"
    losses = CLASSIFICATION_LOSSES if dataset.task in ("classification", "language_modeling") else REGRESSION_LOSSES
    if training.loss.name not in losses:
        yield (
            "loss.name",
            f"must be one of {', '.join(losses)} for {dataset.task}, but is {training.loss.name}; choose one",
        )
    if isinstance(training.loss, QuantileLoss) and sorted(set(training.loss.quantiles)) != list(
        training.loss.quantiles
    ):
        yield (
            "loss.quantiles",
            f"must be increasing, but are {list(training.loss.quantiles)}; sort them, without duplicates",
        )
    if training.difference != "none" and dataset.kind != "series":
        yield "difference", f"applies to forecasting, but the task is {dataset.task}; remove it"
    if (
        training.difference == "seasonal"
        and dataset.kind == "series"
        and not 0 < dataset.season_length <= dataset.window
    ):
        yield (
            "difference",
            f"seasonal needs a season_length from 1 to the window, {dataset.window}, but season_length is"
            f" {dataset.season_length}; set both in the dataset",
        )
    augment = training.augment
    if augment.image_options and dataset.kind != "images":
        yield (
            f"augment.{augment.image_options[0]}",
            f"applies to images, but the dataset is of kind {dataset.kind}; remove it",
        )
    if augment.sequence_options and dataset.kind not in ("sequences", "series"):
        key, kind = augment.sequence_options[0], dataset.kind
        yield f"augment.{key}", f"applies to sequences, but the dataset is of kind {kind}; remove it"
    distorting = {"scaling", "time_warp"} & set(augment.sequence_options)
    if distorting and dataset.kind == "series":
        yield f"augment.{min(distorting)}", "transforms past steps but not the forecast ones; remove it, or use jitter"
    if augment.mixing_options and dataset.kind == "text":
        yield f"augment.{augment.mixing_options[0]}", "tokens of a text cannot be mixed; remove it"


def _check_optimization(training: Training) -> Iterator[tuple[str, str]]:
    """Yield conflicts that do not depend on the task."""
    optimizer, schedule = training.optimizer, training.schedule
    if optimizer.name == "sgd" and optimizer.nesterov and not optimizer.momentum:
        yield (
            "optimizer.nesterov",
            "needs momentum greater than 0, but momentum is 0; raise momentum or remove nesterov",
        )
    if not isinstance(schedule, OneCycleSchedule) and schedule.warmup_epochs >= training.max_epochs:
        yield (
            "schedule.warmup_epochs",
            f"must be less than max_epochs, {training.max_epochs}, but is {schedule.warmup_epochs:g}; lower it, or"
            " raise max_epochs",
        )
    if training.devices > 1 and training.accelerator == "mps":
        yield "devices", f"must be 1 for accelerator mps, but is {training.devices}; set devices: 1 or accelerator: cpu"


def _check_batch_size(model: Model) -> Iterator[tuple[str, str]]:
    training, network = model.training, model.network
    n_micro_batches = training.accumulate_grad_batches * training.devices
    if n_micro_batches > training.batch_size:
        yield (
            "devices" if training.devices > 1 else "accumulate_grad_batches",
            f"accumulate_grad_batches x devices must be at most batch_size, {training.batch_size}, but is"
            f" {n_micro_batches}; raise batch_size",
        )
    elif training.batch_size // n_micro_batches == 1 and getattr(network, "norm", "none") == "batch":
        yield (
            "batch_size",
            "batch norm needs at least 2 samples per micro-batch, but a batch of"
            f" {training.batch_size} in {n_micro_batches} micro-batches (accumulate_grad_batches x devices) can leave"
            " 1; raise batch_size",
        )


def _check_dataset(dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    split = dataset.split
    supported = {
        "table": ("stratified", "random", "group", "time", "predefined"),
        "images": ("stratified", "random", "predefined"),
        "sequences": ("stratified", "random", "group", "predefined"),
        "series": ("time",),
        "text": ("time",)
        if dataset.task == "language_modeling"
        else ("stratified", "random", "group", "time", "predefined"),
    }[dataset.kind]
    if split.by not in supported:
        yield (
            "split.by",
            f"must be one of {', '.join(supported)} for {dataset.task} of kind {dataset.kind}, but is {split.by};"
            " choose one",
        )
    if dataset.task in ("regression", "unsupervised") and split.by == "stratified":
        yield "split.by", f"stratified needs classes, but the task is {dataset.task}; choose random"
    yield from check_target(dataset)
    if split.by == "time" and not split.column and (dataset.kind == "table" or dataset.task == "classification"):
        yield "split.column", "a split by time needs a column to order rows by, but has none; set it"
    fractions = [] if split.by == "predefined" else [split.validation, split.test]
    if sum(size for size in fractions if isinstance(size, float)) >= 1:
        yield (
            "split",
            f"validation and test must add up to less than 1, but are {fractions[0]} and {fractions[1]}; lower one",
        )
    if dataset.kind == "table":
        yield from check_extra_targets(dataset)
    if dataset.kind == "table" and dataset.target in dataset.drop:
        yield "drop", f"contains the target, {dataset.target!r}; remove it"
    if dataset.kind == "table":
        column = "" if isinstance(split, RandomSplit) else split.column
        for name in sorted({*dataset.drop, column} & set(dataset.columns)):
            yield (
                f"columns.{name}",
                "is not a feature, since `drop` or `split.column` contains it; remove it from one of them",
            )
    if dataset.kind == "table" and dataset.normalize == "l2" and any(c.normalize for c in dataset.columns.values()):
        yield "normalize", "l2 scales rows, but `columns` has a `normalize` of single columns; remove one of them"
    if dataset.kind == "table" and dataset.log_target and dataset.task != "regression":
        yield "log_target", f"needs a numeric target, but the task is {dataset.task}; remove it"
    if dataset.kind == "series":
        columns = (*dataset.time_columns, *dataset.targets, *dataset.exogenous)
        if len(set(columns)) < len(columns):
            yield "targets", "time, targets and exogenous must be different columns, but one occurs twice; remove it"
    if dataset.kind == "text" and dataset.text == dataset.target:
        yield "target", f"must differ from the text column, but both are {dataset.text!r}; set the label column"
    if dataset.kind == "text" and dataset.task != "language_modeling" and not dataset.target:
        yield "target", f"{dataset.task} needs a label column, but target is empty; set it"


def _check_network(model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    network = model.network
    if network.family == "mlp" and network.residual and len(network.hidden) < 2:
        n_layers = len(network.hidden)
        yield "residual", f"needs at least two hidden layers, but hidden has {n_layers}; add layers or remove it"
    if network.family == "mlp" and network.ngrams > 1 and (dataset.kind != "text" or network.pool != "mean"):
        yield (
            "ngrams",
            f"applies to text with pool mean, but {model.dataset} is of kind {dataset.kind} and pool is {network.pool};"
            " remove it",
        )
    if network.family == "cnn":
        yield from _check_cnn(network, model, dataset)
    if network.family == "rnn":
        yield from _check_rnn(network, model, dataset)


def _check_cnn(network: Cnn, model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    kind, method, is_2d = dataset.kind, model.select.method, network.architecture in IMAGE_ARCHITECTURES
    if kind not in (("images",) if is_2d else ("sequences", "series", "text")) or method != "none":
        architectures = {"images": IMAGE_ARCHITECTURES, "table": ()}.get(kind, SEQUENCE_ARCHITECTURES)
        yield (
            "architecture",
            f"{network.architecture} needs complete {'images' if is_2d else 'sequences, series or texts'}, but"
            f" {model.dataset} is of kind {kind} and select.method is {method}; choose family mlp"
            + (f", or {' | '.join(architectures)} with select {{method: none}}" if architectures else ""),
        )
    length_rule = "must be as long as channels, {}, but has length {}; make them equally long"
    if isinstance(network, Vgg) and len(network.convolutions) != len(network.channels):
        yield "convolutions", length_rule.format(len(network.channels), len(network.convolutions))
    if isinstance(network, Fcn) and len(network.kernel_sizes) != len(network.channels):
        yield "kernel_sizes", length_rule.format(len(network.channels), len(network.kernel_sizes))


def _check_rnn(network: Rnn, model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    if dataset.kind not in ("sequences", "series", "text") or model.select.method != "none":
        yield (
            "family",
            f"rnn needs complete sequences, but {model.dataset} is of kind {dataset.kind} and select.method is"
            f" {model.select.method}; choose family mlp, or sequences, series or text with select {{method: none}}",
        )
    if dataset.task == "language_modeling" and network.bidirectional:
        yield (
            "bidirectional",
            "must be false for language modeling, but is true; the next token must not be part of the input",
        )
    if dataset.task == "language_modeling" and network.pool != "last":
        yield "pool", f"must be last for language modeling, but is {network.pool}; set pool: last"


def _join_names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
