"""The whole of params.yaml."""

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
    """params.yaml, read and checked."""

    seed: int = Field(ge=0, lt=2**32, description="every random choice follows from it")
    training: Training = Field(description="the base for every model")
    datasets: FrozenMapping[Name, DatasetConfig]
    models: FrozenMapping[Name, Model]

    def dataset(self, name: str) -> DatasetConfig:
        """Return the block `datasets.<name>`; a `ParamsError` names the known ones."""
        if name not in self.datasets:
            raise ParamsError(f"dataset {name!r} is not in params.yaml; it has {_join_names(self.datasets)}")
        return self.datasets[name]

    def model(self, name: str) -> Model:
        """Return the block `models.<name>`; a `ParamsError` names the known ones."""
        if name not in self.models:
            raise ParamsError(f"model {name!r} is not in params.yaml; it has {_join_names(self.models)}")
        return self.models[name]


class Conflict(NamedTuple):
    """Two keys that are valid alone and not together."""

    key: str
    problem: str


def find_conflicts(params: Params) -> list[Conflict]:
    """What a dataset asks of itself, and each model of its dataset, that cannot be."""
    found = []
    for name, dataset in params.datasets.items():
        found += [Conflict(f"datasets.{name}.{key}", problem) for key, problem in _check_dataset(dataset)]
    for name, model in params.models.items():
        at = f"models.{name}"
        if model.dataset not in params.datasets:
            problem = f"must name a dataset, but is {model.dataset!r}; params.yaml has {_join_names(params.datasets)}"
            found.append(Conflict(f"{at}.dataset", problem))
            continue
        dataset = params.datasets[model.dataset]
        found += [Conflict(f"{at}.{key}", problem) for key, problem in _check_search(model)]
        if unlearnt := [*check_unsupervised_model(model, dataset)]:
            found += [Conflict(f"{at}.{key}", problem) for key, problem in unlearnt]
            continue
        found += [Conflict(f"{at}.{key}", why) for key, why in check_dependencies(name, model, dataset, params.models)]
        if own := _check_family(model, dataset):
            found += [Conflict(f"{at}.{key}", problem) for key, problem in own]
            steps = (*_check_optimization(model.training), *_check_batch_size(model))
            found += [Conflict(f"{at}.training.{key}", problem) for key, problem in steps]
            continue
        found += [
            Conflict(f"{at}.training.{key}", problem) for key, problem in _check_training(model.training, dataset)
        ]
        found += [Conflict(f"{at}.training.{key}", problem) for key, problem in _check_batch_size(model)]
        found += [Conflict(f"{at}.{key}", problem) for key, problem in _check_selection(model, dataset)]
        found += [Conflict(f"{at}.network.{key}", problem) for key, problem in _check_network(model, dataset)]
    return found


def _check_search(model: Model) -> Iterator[tuple[str, str]]:
    try:
        parse_ranges(model.search)
    except ParamsError as error:
        yield "search", str(error)
    study = model.study
    if study.sampler == "gp" and study.pruner in ("median_then_wilcoxon", "median"):
        yield "study.pruner", f"gp learns from complete trials alone, but prune is {study.pruner}; set it to none"
    if len(study.objectives) > 1 and study.pruner in ("median_then_wilcoxon", "median"):
        yield "study.pruner", f"several objectives are not pruned, but prune is {study.pruner}; set it to none"
    if len(set(study.objectives)) < len(study.objectives):
        yield "study.objectives", f"must name each once, but are {', '.join(study.objectives)}; take one out"


def _check_family(model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]] | None:
    """Return the conflicts of a network that tells or makes records; None of one that learns targets."""
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
        yield "select.method", "tokens of a text are in order and cannot be selected; choose select {method: none}"
    if (
        isinstance(select, KBestSelection | PercentileSelection)
        and select.score_func == "chi2"
        and dataset.task != "classification"
    ):
        yield "select.score_func", f"chi2 compares classes, but the task is {dataset.task}; choose f or mutual_info"
    if select.method != "none" and (altered := (*augment.image_options, *augment.sequence_options)):
        yield (
            f"training.augment.{altered[0]}",
            f"it alters whole images or windows, but select.method is {select.method}; choose select {{method: none}},"
            " or leave it out",
        )


def _check_training(training: Training, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    yield from check_loss_weights(training, dataset)
    yield from _check_optimization(training)
    if training.class_balance != "none" and dataset.task != "classification":
        yield "class_balance", f"imbalance is of classes, but the task is {dataset.task}; choose none"
    possible = CLASSIFICATION_LOSSES if dataset.task in ("classification", "language_modeling") else REGRESSION_LOSSES
    if training.loss.name not in possible:
        yield "loss.name", f"{dataset.task} can have {', '.join(possible)}, but not {training.loss.name}; choose one"
    if isinstance(training.loss, QuantileLoss) and sorted(set(training.loss.quantiles)) != list(
        training.loss.quantiles
    ):
        yield (
            "loss.quantiles",
            f"levels must rise, but are {list(training.loss.quantiles)}; put them in order, each once",
        )
    if training.difference != "none" and dataset.kind != "series":
        yield "difference", f"forecasts have a difference, but the task is {dataset.task}; leave it out"
    if (
        training.difference == "seasonal"
        and dataset.kind == "series"
        and not 0 < dataset.season_length <= dataset.window
    ):
        yield (
            "difference",
            f"a season must lie within the window, but season is {dataset.season_length} and window {dataset.window}; set"
            " both in the dataset",
        )
    augment = training.augment
    if augment.image_options and dataset.kind != "images":
        yield (
            f"augment.{augment.image_options[0]}",
            f"it alters images, but the dataset is of kind {dataset.kind}; leave it out",
        )
    if augment.sequence_options and dataset.kind not in ("sequences", "series"):
        key, kind = augment.sequence_options[0], dataset.kind
        yield f"augment.{key}", f"it alters sequences, but the dataset is of kind {kind}; leave it out"
    warps = {"scaling", "time_warp"} & set(augment.sequence_options)
    if warps and dataset.kind == "series":
        yield f"augment.{min(warps)}", "it alters past steps and not those to be told; leave it out, jitter can stay"
    if augment.mixing_options and dataset.kind == "text":
        yield f"augment.{augment.mixing_options[0]}", "words cannot be blended; leave it out"


def _check_optimization(training: Training) -> Iterator[tuple[str, str]]:
    """Yield what excludes each other whatever is learnt."""
    optimizer, schedule = training.optimizer, training.schedule
    if optimizer.name == "sgd" and optimizer.nesterov and not optimizer.momentum:
        yield (
            "optimizer.nesterov",
            "nesterov looks ahead by the momentum, but that is 0; raise momentum or leave nesterov out",
        )
    if not isinstance(schedule, OneCycleSchedule) and schedule.warmup_epochs >= training.max_epochs:
        yield (
            "schedule.warmup_epochs",
            f"a warmup must end before the training, but takes {schedule.warmup_epochs:g} epochs where max_epochs is"
            f" {training.max_epochs}; shorten it, or raise max_epochs",
        )
    if training.devices > 1 and training.accelerator == "mps":
        yield "devices", f"mps is one device, but devices is {training.devices}; choose devices 1 or accelerator cpu"


def _check_batch_size(model: Model) -> Iterator[tuple[str, str]]:
    training, network = model.training, model.network
    parts = training.accumulate_grad_batches * training.devices
    if parts > training.batch_size:
        key, told = "devices" if training.devices > 1 else "accumulate_grad_batches", f"{training.batch_size} rows"
        yield key, f"a batch of {told} cannot go through in {parts} parts (accumulate times devices); raise batch_size"
    elif training.batch_size // parts == 1 and getattr(network, "norm", "none") == "batch":
        yield (
            "batch_size",
            "batch norm compares rows, so 2 or more must go through at a time, but a batch of"
            f" {training.batch_size} in {parts} parts (accumulate times devices) can leave 1; raise batch_size",
        )


def _check_dataset(dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    split = dataset.split
    possible = {
        "table": ("stratified", "random", "group", "time", "predefined"),
        "images": ("stratified", "random", "predefined"),
        "sequences": ("stratified", "random", "group", "predefined"),
        "series": ("time",),
        "text": ("time",)
        if dataset.task == "language_modeling"
        else ("stratified", "random", "group", "time", "predefined"),
    }[dataset.kind]
    if split.by not in possible:
        yield (
            "split.by",
            f"{dataset.task} of {dataset.kind} can be split by {', '.join(possible)}, but not by {split.by}",
        )
    if dataset.task in ("regression", "unsupervised") and split.by == "stratified":
        yield "split.by", f"stratified needs classes, but the task is {dataset.task}; choose random"
    yield from check_target(dataset)
    if split.by == "time" and not split.column and (dataset.kind == "table" or dataset.task == "classification"):
        yield "split.column", "a split by time needs a column to order by, but names none; name it"
    if split.by != "predefined":
        shares = [part for part in (split.validation, split.test) if isinstance(part, float)]
        if sum(shares) >= 1:
            yield (
                "split",
                f"validation and test must leave training rows, but take {split.validation} and {split.test}; choose"
                " shares that add up to less than 1",
            )
    if dataset.kind == "table":
        yield from check_extra_targets(dataset)
    if dataset.kind == "table" and dataset.target in dataset.drop:
        yield "drop", f"the target is {dataset.target!r} and cannot be dropped; take it out"
    if dataset.kind == "table":
        column = "" if isinstance(split, RandomSplit) else split.column
        for name in sorted({*dataset.drop, column} & set(dataset.columns)):
            yield f"columns.{name}", "is no feature, since `drop` or `split.column` names it too; take one of them out"
    if dataset.kind == "table" and dataset.normalize == "l2" and any(c.normalize for c in dataset.columns.values()):
        yield "normalize", "l2 scales whole rows, but `columns` scales single ones; choose one of them"
    if dataset.kind == "table" and dataset.log_target and dataset.task != "regression":
        yield "log_target", f"logarithms are of numbers, but the task is {dataset.task}; leave it out"
    if dataset.kind == "series":
        columns = (*dataset.time_columns, *dataset.targets, *dataset.exogenous)
        if len(set(columns)) < len(columns):
            yield "targets", "time, targets and exogenous must name each column once, but name one twice; take it out"
    if dataset.kind == "text" and dataset.text == dataset.target:
        yield "target", f"text and target must be two columns, but both are {dataset.text!r}; name the label"
    if dataset.kind == "text" and dataset.task != "language_modeling" and not dataset.target:
        yield "target", "a text needs the column of its label, but target is empty; name it"


def _check_network(model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    network = model.network
    if network.family == "mlp" and network.residual and len(network.hidden) < 2:
        given = len(network.hidden)
        yield "residual", f"begins with the second hidden layer, but hidden has {given}; add layers or leave it out"
    if network.family == "mlp" and network.ngrams > 1 and (dataset.kind != "text" or network.pool != "mean"):
        yield (
            "ngrams",
            f"is of text with pool mean, but {model.dataset} is of kind {dataset.kind} and pool is {network.pool};"
            " leave it out",
        )
    if network.family == "cnn":
        yield from _check_cnn(network, model, dataset)
    if network.family == "rnn":
        yield from _check_rnn(network, model, dataset)


def _check_cnn(network: Cnn, model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    kind, method, of_images = dataset.kind, model.select.method, network.architecture in IMAGE_ARCHITECTURES
    if kind not in (("images",) if of_images else ("sequences", "series", "text")) or method != "none":
        fitting = {"images": IMAGE_ARCHITECTURES, "table": ()}.get(kind, SEQUENCE_ARCHITECTURES)
        yield (
            "architecture",
            f"{network.architecture} needs whole {'images' if of_images else 'sequences, series or texts'}, but"
            f" {model.dataset} is of kind {kind} and select.method is {method}; choose family mlp"
            + (f", or {' | '.join(fitting)} with select {{method: none}}" if fitting else ""),
        )
    uneven = "must be one number for each of channels, {}, but holds {}; make them equally long"
    if isinstance(network, Vgg) and len(network.convolutions) != len(network.channels):
        yield "convolutions", uneven.format(len(network.channels), len(network.convolutions))
    if isinstance(network, Fcn) and len(network.kernel_sizes) != len(network.channels):
        yield "kernel_sizes", uneven.format(len(network.channels), len(network.kernel_sizes))


def _check_rnn(network: Rnn, model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    if dataset.kind not in ("sequences", "series", "text") or model.select.method != "none":
        yield (
            "family",
            f"rnn reads steps in order, but {model.dataset} is of kind {dataset.kind} and select.method is"
            f" {model.select.method}; choose family mlp, or sequences, series or text with select {{method: none}}",
        )
    if dataset.task == "language_modeling" and network.bidirectional:
        yield "bidirectional", "the next token cannot be told from a later one, so it must be false, but is true"
    if dataset.task == "language_modeling" and network.pool != "last":
        yield "pool", f"the next token is told after the last one, so it must be last, but is {network.pool}"


def _join_names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
