"""What cannot be where nothing is to be predicted."""

from collections.abc import Iterator

from .datasets import Dataset, Table
from .models import Model

WITHOUT = ("autoencoder", "gan")
"""Families that learn from records alone."""

BLIND = ("none", "variance", "pca", "autoencoder")
"""Selections that look at no target."""


def conflicts_of_target(dataset: Dataset) -> Iterator[tuple[str, str]]:
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
        named |= {"also": bool(dataset.also), "missing.target": dataset.missing.target != "error"}
    for key in (key for key, there in named.items() if there):
        yield key, "an unsupervised task has no target; leave it out, or choose classification or regression"


def conflicts_of_learner(model: Model, dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Yield each key of a model that asks for a target, and why its dataset cannot give one."""
    if dataset.task != "unsupervised":
        return
    none = f"but {model.dataset} has none, since its task is unsupervised"
    if model.network.family not in WITHOUT:
        yield (
            "network.family",
            f"{model.network.family} learns a target, {none}; choose {' or '.join(WITHOUT)}, or set task and target",
        )
    elif model.select.method not in BLIND:
        yield "select.method", f"{model.select.method} looks at a target, {none}; choose none"
