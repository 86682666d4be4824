"""What cannot be where a dataset has several targets.

What cannot be where nothing is to be predicted.
"""

from collections.abc import Iterator

from ..datasets import DatasetConfig, Table
from ..models import Model
from ..training import FixedWeights, Training


def check_extra_targets(dataset: Table) -> Iterator[tuple[str, str]]:
    """Yield each key of a table, and why it cannot be together with the targets under `also`."""
    taken = {dataset.target: "target", getattr(dataset.split, "column", ""): "split.column"}
    taken |= dict.fromkeys(dataset.drop, "drop")
    for name in sorted(set(dataset.extra_targets) & set(taken)):
        yield (
            f"extra_targets.{name}",
            f"a column has one part to play, but `{taken[name]}` names it too; take one of them out",
        )


def check_loss_weights(training: Training, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """Yield each key of a training, and why it cannot be with as many targets as the dataset has."""
    tasks = training.loss_weights
    if not isinstance(dataset, Table) or not dataset.extra_targets:
        if tasks != FixedWeights(name="fixed"):
            yield (
                "loss_weights",
                "weights are of several targets, but the dataset has one; leave it out, or set `also` there",
            )
        return
    if training.loss.name in ("bce", "quantile"):
        rest = ", ".join(dataset.extra_targets)
        yield "loss.name", f"{training.loss.name} tells one target, but {rest} are to be told too; choose auto"
    if training.augment.mixing_options:
        yield f"augment.{training.augment.mixing_options[0]}", "several targets cannot be blended; leave it out"
    if isinstance(tasks, FixedWeights):
        names = (dataset.target, *dataset.extra_targets)
        for name in tasks.weights:
            if name not in names:
                yield f"tasks.weights.{name}", f"no target has this name; choose of {', '.join(names)}"
        if not any(tasks.weights.get(name, 1) for name in names):
            yield "tasks.weights", "one target must count at least, but all weights are 0; raise one"


UNSUPERVISED_FAMILIES = ("autoencoder", "gan")
"""Families that learn from records alone."""

UNSUPERVISED_SELECTIONS = ("none", "variance", "pca", "autoencoder")
"""Selections that look at no target."""


def check_target(dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """Yield each key of a dataset that names a target where there is none, or names none where there is one."""
    if dataset.task != "unsupervised":
        if isinstance(dataset, Table) and not dataset.target:
            yield (
                "target",
                f"{dataset.task} needs a column to predict, but target is empty; name it, or set `task: unsupervised`",
            )
        return
    named = {"target": "target" in dataset.model_fields_set}
    if isinstance(dataset, Table):
        named |= {"extra_targets": bool(dataset.extra_targets), "missing.target": dataset.missing.target != "error"}
    for key in (key for key, there in named.items() if there):
        yield key, "an unsupervised task has no target; leave it out, or choose classification or regression"


def check_unsupervised_model(model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """Yield each key of a model that asks for a target, and why its dataset cannot give one."""
    if dataset.task != "unsupervised":
        return
    none = f"but {model.dataset} has none, since its task is unsupervised"
    if model.network.family not in UNSUPERVISED_FAMILIES:
        yield (
            "network.family",
            f"{model.network.family} learns a target, {none}; choose {' or '.join(UNSUPERVISED_FAMILIES)}, or set task and target",
        )
    elif model.select.method not in UNSUPERVISED_SELECTIONS:
        yield "select.method", f"{model.select.method} looks at a target, {none}; choose none"
