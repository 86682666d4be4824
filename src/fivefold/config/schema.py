"""The whole of params.yaml."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydantic import Field

from ..errors import ParamsError
from .base import Frozen, Name, Strict
from .datasets import Dataset
from .models import Model
from .networks.autoencoder import Autoencoder
from .networks.cnn import OF_IMAGES, OF_STEPS, Cnn, Fcn, Vgg
from .networks.cyclegan import Cyclegan
from .networks.gan import Gan
from .networks.rnn import Rnn
from .optimizers import OneCycle
from .rules.adversarial import conflicts_of_cyclegan, conflicts_of_gan
from .rules.autoencoder import conflicts_of_autoencoder
from .rules.dependencies import conflicts_of_uses
from .rules.targets import conflicts_of_also, conflicts_of_learner, conflicts_of_target, conflicts_of_tasks
from .search import ranges_of
from .selection import KBest, Percentile
from .splits import RowSplit
from .training import OF_CLASSES, OF_VALUES, Quantile, Training


class Params(Strict):
    """params.yaml, read and checked."""

    seed: int = Field(ge=0, lt=2**32, description="every random choice follows from it")
    training: Training = Field(description="the base for every model")
    datasets: Frozen[Name, Dataset]
    models: Frozen[Name, Model]

    def dataset(self, name: str) -> Dataset:
        """Return the block `datasets.<name>`; a `ParamsError` names the known ones."""
        if name not in self.datasets:
            raise ParamsError(f"dataset {name!r} is not in params.yaml; it has {_listed(self.datasets)}")
        return self.datasets[name]

    def model(self, name: str) -> Model:
        """Return the block `models.<name>`; a `ParamsError` names the known ones."""
        if name not in self.models:
            raise ParamsError(f"model {name!r} is not in params.yaml; it has {_listed(self.models)}")
        return self.models[name]


class Conflict(NamedTuple):
    """Two keys that are valid alone and not together."""

    key: str
    problem: str


def conflicts(params: Params) -> list[Conflict]:
    """What a dataset asks of itself, and each model of its dataset, that cannot be."""
    found = []
    for name, dataset in params.datasets.items():
        found += [Conflict(f"datasets.{name}.{key}", problem) for key, problem in _of_dataset(dataset)]
    for name, model in params.models.items():
        at = f"models.{name}"
        if model.dataset not in params.datasets:
            problem = f"must name a dataset, but is {model.dataset!r}; params.yaml has {_listed(params.datasets)}"
            found.append(Conflict(f"{at}.dataset", problem))
            continue
        dataset = params.datasets[model.dataset]
        found += [Conflict(f"{at}.{key}", problem) for key, problem in _of_search(model)]
        if unlearnt := [*conflicts_of_learner(model, dataset)]:
            found += [Conflict(f"{at}.{key}", problem) for key, problem in unlearnt]
            continue
        found += [Conflict(f"{at}.{key}", why) for key, why in conflicts_of_uses(name, model, dataset, params.models)]
        if own := _of_own(model, dataset):
            found += [Conflict(f"{at}.{key}", problem) for key, problem in own]
            steps = (*_of_steps(model.training), *_of_batches(model))
            found += [Conflict(f"{at}.training.{key}", problem) for key, problem in steps]
            continue
        found += [Conflict(f"{at}.training.{key}", problem) for key, problem in _of_training(model.training, dataset)]
        found += [Conflict(f"{at}.training.{key}", problem) for key, problem in _of_batches(model)]
        found += [Conflict(f"{at}.{key}", problem) for key, problem in _of_selection(model, dataset)]
        found += [Conflict(f"{at}.network.{key}", problem) for key, problem in _of_network(model, dataset)]
    return found


def _of_search(model: Model) -> Iterator[tuple[str, str]]:
    try:
        ranges_of(model.search)
    except ParamsError as error:
        yield "search", str(error)
    study = model.study
    if study.sampler == "gp" and study.prune in ("two_stage", "median"):
        yield "study.prune", f"gp learns from complete trials alone, but prune is {study.prune}; set it to none"
    if len(study.objectives) > 1 and study.prune in ("two_stage", "median"):
        yield "study.prune", f"several objectives are not pruned, but prune is {study.prune}; set it to none"
    if len(set(study.objectives)) < len(study.objectives):
        yield "study.objectives", f"must name each once, but are {', '.join(study.objectives)}; take one out"


def _of_own(model: Model, dataset: Dataset) -> Iterator[tuple[str, str]] | None:
    """Return the conflicts of a network that tells or makes records; None of one that learns targets."""
    match model.network:
        case Gan() as network:
            return conflicts_of_gan(network, model, dataset)
        case Cyclegan() as network:
            return conflicts_of_cyclegan(network, model, dataset)
        case Autoencoder() as network:
            return conflicts_of_autoencoder(network, model, dataset)
    return None


def _of_selection(model: Model, dataset: Dataset) -> Iterator[tuple[str, str]]:
    select, augment = model.select, model.training.augment
    if dataset.kind == "text" and select.method != "none":
        yield "select.method", "tokens of a text are in order and cannot be selected; choose select {method: none}"
    if isinstance(select, KBest | Percentile) and select.score == "chi2" and dataset.task != "classification":
        yield "select.score", f"chi2 compares classes, but the task is {dataset.task}; choose f or mutual_info"
    if select.method != "none" and (altered := (*augment.of_images, *augment.of_sequences)):
        yield (
            f"training.augment.{altered[0]}",
            f"it alters whole images or windows, but select.method is {select.method}; choose select {{method: none}},"
            " or leave it out",
        )


def _of_training(training: Training, dataset: Dataset) -> Iterator[tuple[str, str]]:
    yield from conflicts_of_tasks(training, dataset)
    yield from _of_steps(training)
    if training.imbalance != "none" and dataset.task != "classification":
        yield "imbalance", f"imbalance is of classes, but the task is {dataset.task}; choose none"
    possible = OF_CLASSES if dataset.task in ("classification", "language") else OF_VALUES
    if training.loss.name not in possible:
        yield "loss.name", f"{dataset.task} can have {', '.join(possible)}, but not {training.loss.name}; choose one"
    if isinstance(training.loss, Quantile) and sorted(set(training.loss.levels)) != list(training.loss.levels):
        yield "loss.levels", f"levels must rise, but are {list(training.loss.levels)}; put them in order, each once"
    if training.base != "none" and dataset.kind != "series":
        yield "base", f"forecasts have a base, but the task is {dataset.task}; leave it out"
    if training.base == "season" and dataset.kind == "series" and not 0 < dataset.season <= dataset.window:
        yield (
            "base",
            f"a season must lie within the window, but season is {dataset.season} and window {dataset.window}; set"
            " both in the dataset",
        )
    augment = training.augment
    if augment.of_images and dataset.kind != "images":
        yield (
            f"augment.{augment.of_images[0]}",
            f"it alters images, but the dataset is of kind {dataset.kind}; leave it out",
        )
    if augment.of_sequences and dataset.kind not in ("sequences", "series"):
        key, kind = augment.of_sequences[0], dataset.kind
        yield f"augment.{key}", f"it alters sequences, but the dataset is of kind {kind}; leave it out"
    warps = {"scaling", "time_warp"} & set(augment.of_sequences)
    if warps and dataset.kind == "series":
        yield f"augment.{min(warps)}", "it alters past steps and not those to be told; leave it out, jitter can stay"
    if augment.mixes and dataset.kind == "text":
        yield f"augment.{augment.mixes[0]}", "words cannot be blended; leave it out"


def _of_steps(training: Training) -> Iterator[tuple[str, str]]:
    """Yield what excludes each other whatever is learnt."""
    optimizer, schedule = training.optimizer, training.schedule
    if optimizer.name == "sgd" and optimizer.nesterov and not optimizer.momentum:
        yield (
            "optimizer.nesterov",
            "nesterov looks ahead by the momentum, but that is 0; raise momentum or leave nesterov out",
        )
    if not isinstance(schedule, OneCycle) and schedule.warmup >= training.max_epochs:
        yield (
            "schedule.warmup",
            f"a warmup must end before the training, but takes {schedule.warmup:g} epochs where max_epochs is"
            f" {training.max_epochs}; shorten it, or raise max_epochs",
        )
    if training.devices > 1 and training.accelerator == "mps":
        yield "devices", f"mps is one device, but devices is {training.devices}; choose devices 1 or accelerator cpu"


def _of_batches(model: Model) -> Iterator[tuple[str, str]]:
    training, network = model.training, model.network
    parts = training.accumulate * training.devices
    if parts > training.batch_size:
        key, told = "devices" if training.devices > 1 else "accumulate", f"{training.batch_size} rows"
        yield key, f"a batch of {told} cannot go through in {parts} parts (accumulate times devices); raise batch_size"
    elif training.batch_size // parts == 1 and getattr(network, "norm", "none") == "batch":
        yield (
            "batch_size",
            "batch norm compares rows, so 2 or more must go through at a time, but a batch of"
            f" {training.batch_size} in {parts} parts (accumulate times devices) can leave 1; raise batch_size",
        )


def _of_dataset(dataset: Dataset) -> Iterator[tuple[str, str]]:
    split = dataset.split
    possible = {
        "table": ("stratified", "random", "group", "time", "column"),
        "images": ("stratified", "random", "column"),
        "sequences": ("stratified", "random", "group", "column"),
        "series": ("time",),
        "text": ("time",) if dataset.task == "language" else ("stratified", "random", "group", "time", "column"),
    }[dataset.kind]
    if split.by not in possible:
        yield (
            "split.by",
            f"{dataset.task} of {dataset.kind} can be split by {', '.join(possible)}, but not by {split.by}",
        )
    if dataset.task in ("regression", "unsupervised") and split.by == "stratified":
        yield "split.by", f"stratified needs classes, but the task is {dataset.task}; choose random"
    yield from conflicts_of_target(dataset)
    if split.by == "time" and not split.column and (dataset.kind == "table" or dataset.task == "classification"):
        yield "split.column", "a split by time needs a column to order by, but names none; name it"
    if split.by != "column":
        shares = [part for part in (split.validation, split.test) if isinstance(part, float)]
        if sum(shares) >= 1:
            yield (
                "split",
                f"validation and test must leave training rows, but take {split.validation} and {split.test}; choose"
                " shares that add up to less than 1",
            )
    if dataset.kind == "table":
        yield from conflicts_of_also(dataset)
    if dataset.kind == "table" and dataset.target in dataset.drop:
        yield "drop", f"the target is {dataset.target!r} and cannot be dropped; take it out"
    if dataset.kind == "table":
        column = "" if isinstance(split, RowSplit) else split.column
        for name in sorted({*dataset.drop, column} & set(dataset.columns)):
            yield f"columns.{name}", "is no feature, since `drop` or `split.column` names it too; take one of them out"
    if dataset.kind == "table" and dataset.normalize == "l2" and any(c.normalize for c in dataset.columns.values()):
        yield "normalize", "l2 scales whole rows, but `columns` scales single ones; choose one of them"
    if dataset.kind == "table" and dataset.log and dataset.task != "regression":
        yield "log", f"logarithms are of numbers, but the task is {dataset.task}; leave it out"
    if dataset.kind == "series":
        columns = (*dataset.times, *dataset.targets, *dataset.exogenous)
        if len(set(columns)) < len(columns):
            yield "targets", "time, targets and exogenous must name each column once, but name one twice; take it out"
    if dataset.kind == "text" and dataset.text == dataset.target:
        yield "target", f"text and target must be two columns, but both are {dataset.text!r}; name the label"
    if dataset.kind == "text" and dataset.task != "language" and not dataset.target:
        yield "target", "a text needs the column of its label, but target is empty; name it"


def _of_network(model: Model, dataset: Dataset) -> Iterator[tuple[str, str]]:
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
        yield from _of_cnn(network, model, dataset)
    if network.family == "rnn":
        yield from _of_rnn(network, model, dataset)


def _of_cnn(network: Cnn, model: Model, dataset: Dataset) -> Iterator[tuple[str, str]]:
    kind, method, of_images = dataset.kind, model.select.method, network.design in OF_IMAGES
    if kind not in (("images",) if of_images else ("sequences", "series", "text")) or method != "none":
        fitting = {"images": OF_IMAGES, "table": ()}.get(kind, OF_STEPS)
        yield (
            "design",
            f"{network.design} needs whole {'images' if of_images else 'sequences, series or texts'}, but"
            f" {model.dataset} is of kind {kind} and select.method is {method}; choose family mlp"
            + (f", or {' | '.join(fitting)} with select {{method: none}}" if fitting else ""),
        )
    uneven = "must be one number for each of channels, {}, but holds {}; make them equally long"
    if isinstance(network, Vgg) and len(network.convolutions) != len(network.channels):
        yield "convolutions", uneven.format(len(network.channels), len(network.convolutions))
    if isinstance(network, Fcn) and len(network.kernels) != len(network.channels):
        yield "kernels", uneven.format(len(network.channels), len(network.kernels))


def _of_rnn(network: Rnn, model: Model, dataset: Dataset) -> Iterator[tuple[str, str]]:
    if dataset.kind not in ("sequences", "series", "text") or model.select.method != "none":
        yield (
            "family",
            f"rnn reads steps in order, but {model.dataset} is of kind {dataset.kind} and select.method is"
            f" {model.select.method}; choose family mlp, or sequences, series or text with select {{method: none}}",
        )
    if dataset.task == "language" and network.bidirectional:
        yield "bidirectional", "the next token cannot be told from a later one, so it must be false, but is true"
    if dataset.task == "language" and network.pool != "last":
        yield "pool", f"the next token is told after the last one, so it must be last, but is {network.pool}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
