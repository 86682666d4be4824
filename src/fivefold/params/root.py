"""The whole of params.yaml."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, NamedTuple, TypeVar

from pydantic import AfterValidator, Field

from ..errors import ParamsError
from .base import Name, Strict
from .datasets import Dataset
from .models import Model
from .training import Training

Block = TypeVar("Block")
Frozen = Annotated[Mapping[Name, Block], AfterValidator(MappingProxyType)]
"""Blocks by name, which cannot be put in or taken out."""


class Params(Strict):
    """params.yaml, read and checked."""

    seed: int = Field(ge=0, lt=2**32, description="every random choice follows from it")
    training: Training = Field(description="the base for every model")
    datasets: Frozen[Dataset]
    models: Frozen[Model]

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
    """What each model asks of its dataset that the dataset cannot give."""
    found = []
    for name, model in params.models.items():
        at = f"models.{name}"
        if model.dataset not in params.datasets:
            problem = f"must name a dataset, but is {model.dataset!r}; params.yaml has {_listed(params.datasets)}"
            found.append(Conflict(f"{at}.dataset", problem))
            continue
        dataset = params.datasets[model.dataset]
        optimizer = model.training.optimizer
        if optimizer.name == "sgd" and optimizer.nesterov and not optimizer.momentum:
            problem = "nesterov looks ahead by the momentum, but that is 0; raise momentum or leave nesterov out"
            found.append(Conflict(f"{at}.training.optimizer.nesterov", problem))
        if model.network.family == "cnn" and (dataset.kind != "images" or model.select.method != "none"):
            problem = (
                f"cnn needs whole images, but {model.dataset} is of kind {dataset.kind} and select.method is"
                f" {model.select.method}; choose family mlp, or images with select {{method: none}}"
            )
            found.append(Conflict(f"{at}.network.family", problem))
        if model.select.method == "k_best" and model.select.score == "chi2" and dataset.task == "regression":
            problem = "chi2 compares classes, but the task is regression; choose f or mutual_info"
            found.append(Conflict(f"{at}.select.score", problem))
    for name, dataset in params.datasets.items():
        if dataset.task == "regression" and dataset.split.by == "stratified":
            problem = "stratified needs classes, but the task is regression; choose random"
            found.append(Conflict(f"datasets.{name}.split.by", problem))
        if dataset.split.validation + dataset.split.test >= 1:
            problem = (
                f"validation and test must leave training rows, but take {dataset.split.validation} and"
                f" {dataset.split.test}; choose shares that add up to less than 1"
            )
            found.append(Conflict(f"datasets.{name}.split", problem))
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
