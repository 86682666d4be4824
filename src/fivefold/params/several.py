"""What cannot be where a dataset has several targets."""

from collections.abc import Iterator

from .datasets import Dataset, Table
from .tasks import Fixed
from .training import Training


def conflicts_of_also(dataset: Table) -> Iterator[tuple[str, str]]:
    """Yield each key of a table, and why it cannot be together with the targets under `also`."""
    taken = {dataset.target: "target", getattr(dataset.split, "column", ""): "split.column"}
    taken |= dict.fromkeys(dataset.drop, "drop")
    for name in sorted(set(dataset.also) & set(taken)):
        yield f"also.{name}", f"a column has one part to play, but `{taken[name]}` names it too; take one of them out"


def conflicts_of_tasks(training: Training, dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Yield each key of a training, and why it cannot be with as many targets as the dataset has."""
    tasks = training.tasks
    if not isinstance(dataset, Table) or not dataset.also:
        if tasks != Fixed(name="fixed"):
            yield "tasks", "weights are of several targets, but the dataset has one; leave it out, or set `also` there"
        return
    if training.loss.name in ("bce", "quantile"):
        rest = ", ".join(dataset.also)
        yield "loss.name", f"{training.loss.name} tells one target, but {rest} are to be told too; choose auto"
    if training.augment.mixes:
        yield f"augment.{training.augment.mixes[0]}", "several targets cannot be blended; leave it out"
    if isinstance(tasks, Fixed):
        names = (dataset.target, *dataset.also)
        for name in tasks.weights:
            if name not in names:
                yield f"tasks.weights.{name}", f"no target has this name; choose of {', '.join(names)}"
        if not any(tasks.weights.get(name, 1) for name in names):
            yield "tasks.weights", "one target must count at least, but all weights are 0; raise one"
