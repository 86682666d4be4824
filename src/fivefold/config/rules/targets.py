"""Validation rules of targets: several targets, and no target."""

from collections.abc import Iterator

from ..datasets import DatasetConfig, Table
from ..models import Model
from ..training import FixedWeights, Training


def check_extra_targets(dataset: Table) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) for columns under `extra_targets` that another key uses too."""
    taken = {dataset.target: "target", getattr(dataset.split, "column", ""): "split.column"}
    taken |= dict.fromkeys(dataset.drop, "drop")
    for name in sorted(set(dataset.extra_targets) & set(taken)):
        yield (
            f"extra_targets.{name}",
            f"the column is also used by `{taken[name]}`; remove it from one of them",
        )


def check_loss_weights(training: Training, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) for training options that do not match the number of targets."""
    loss_weights = training.loss_weights
    if not isinstance(dataset, Table) or not dataset.extra_targets:
        if loss_weights != FixedWeights(name="fixed"):
            yield (
                "loss_weights",
                "needs several targets, but the dataset has one; remove it, or add `extra_targets` to the dataset",
            )
        return
    if training.loss.name in ("bce", "quantile"):
        rest = ", ".join(dataset.extra_targets)
        yield (
            "loss.name",
            f"{training.loss.name} supports a single target, but `extra_targets` adds {rest}; choose auto",
        )
    if training.augment.mixing_options:
        yield f"augment.{training.augment.mixing_options[0]}", "several targets cannot be mixed; remove it"
    if isinstance(loss_weights, FixedWeights):
        names = (dataset.target, *dataset.extra_targets)
        for name in loss_weights.weights:
            if name not in names:
                yield f"loss_weights.weights.{name}", f"is not a target; the targets are {', '.join(names)}"
        if not any(loss_weights.weights.get(name, 1) for name in names):
            yield "loss_weights.weights", "at least one weight must be greater than 0, but all are 0; raise one"


UNSUPERVISED_FAMILIES = ("autoencoder", "gan")
"""Families that need no target."""

UNSUPERVISED_SELECTIONS = ("none", "variance", "pca", "autoencoder")
"""Selection methods that need no target."""


def check_target(dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) if a target is missing, or set for an unsupervised task."""
    if dataset.task != "unsupervised":
        if isinstance(dataset, Table) and not dataset.target:
            yield (
                "target",
                f"{dataset.task} needs a target column, but target is empty; set it, or set `task: unsupervised`",
            )
        return
    is_set = {"target": "target" in dataset.model_fields_set}
    if isinstance(dataset, Table):
        is_set |= {"extra_targets": bool(dataset.extra_targets), "missing.target": dataset.missing.target != "error"}
    for key in (key for key, value in is_set.items() if value):
        yield key, "an unsupervised task has no target; remove it, or choose classification or regression"


def check_unsupervised_model(model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) for options that need a target if the dataset has none."""
    if dataset.task != "unsupervised":
        return
    reason = f"but the task of {model.dataset} is unsupervised"
    if model.network.family not in UNSUPERVISED_FAMILIES:
        yield (
            "network.family",
            f"{model.network.family} needs a target, {reason}; choose {' or '.join(UNSUPERVISED_FAMILIES)}, or set"
            " task and target",
        )
    elif model.select.method not in UNSUPERVISED_SELECTIONS:
        yield "select.method", f"{model.select.method} needs a target, {reason}; choose none"
