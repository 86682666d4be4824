"""What cannot be where images are translated between two domains."""

from collections.abc import Iterator

from ..families.cyclegan.params import Cyclegan
from .contests import of_training
from .datasets import Dataset
from .models import Model


def conflicts_of_cyclegan(network: Cyclegan, model: Model, dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Yield each key of a model, and why it cannot be with the rest of the model or with its dataset.

    How many classes and pixels there are, the data say: see `build` of the family.
    """
    if dataset.kind != "images":
        yield (
            "network.family",
            f"cyclegan translates images, but {model.dataset} is of kind {dataset.kind}; choose another family",
        )
        return
    if dataset.task != "classification":
        yield (
            "network.family",
            f"cyclegan translates between two classes, but the task is {dataset.task}; choose another family",
        )
    if model.select.method != "none":
        yield "network.family", "a cyclegan makes whole images; set select {method: none}"
    if network.output == "sigmoid" and dataset.normalize != "minmax":
        yield (
            "network.output",
            f"sigmoid makes numbers between 0 and 1, but normalize is {dataset.normalize}; choose minmax",
        )
    yield from of_training(network, model)
    if model.training.imbalance != "none":
        yield "training.imbalance", "an epoch shows as many images of either class anyway; leave it out"
