"""Validation rules of `depends_on`."""

from collections.abc import Iterator, Mapping

from ..datasets import DatasetConfig
from ..models import NO_MODEL, Model
from ..networks.autoencoder import Autoencoder, GenerationMode
from ..networks.cyclegan import Cyclegan
from ..networks.gan import Gan
from ..selection import EncoderSelection

NON_CLASSIFIER_FAMILIES = ("autoencoder", "gan", "cyclegan")
"""Families that are no classifiers."""


def check_dependencies(
    name: str, model: Model, dataset: DatasetConfig, models: Mapping[str, Model]
) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) if the dependency of a model is missing, unsuitable or not needed."""
    if name == NO_MODEL:
        yield "depends_on", f"{NO_MODEL!r} means no dependency, so no model can have this name; rename the model"
    if model.source_model is None:
        if isinstance(model.select, EncoderSelection):
            yield (
                "depends_on",
                f"select {{method: autoencoder}} needs the encoder of a model, but this is {NO_MODEL}; name an"
                " autoencoder",
            )
        return
    if model.source_model not in models:
        yield (
            "depends_on",
            f"must name a model, or {NO_MODEL}, but is {model.depends_on!r}; params.yaml has {', '.join(models)}",
        )
    elif name in (chain := _dependency_chain(name, models)):
        cycle = " -> ".join([name, *chain[: chain.index(name) + 1]])
        yield "depends_on", f"a model must not depend on itself, but {cycle}; set one to {NO_MODEL}"
    elif isinstance(model.select, EncoderSelection):
        yield from _check_encoder(model, models[model.source_model])
    elif _generates_samples(model, dataset):
        yield from _check_reference(model, dataset, models[model.source_model])
    else:
        yield (
            "depends_on",
            "is for models with select {method: autoencoder}, which use its encoder, and for generators, which use"
            f" it as reference classifier, but {name} is neither; set it to {NO_MODEL}",
        )


def _generates_samples(model: Model, dataset: DatasetConfig) -> bool:
    """Return whether a model generates samples that a classifier can compare with real ones."""
    match model.network:
        case Autoencoder(mode=GenerationMode()):
            return dataset.kind == "images"
        case Gan() | Cyclegan():
            return True
    return False


def _dependency_chain(name: str, models: Mapping[str, Model]) -> list[str]:
    """Return the dependency of a model, its dependency, and so on, up to the first repetition."""
    chain: list[str] = []
    while name in models and (dependency := models[name].source_model) is not None and dependency not in chain:
        chain.append(dependency)
        name = dependency
    return chain


def _check_encoder(model: Model, dependency: Model) -> Iterator[tuple[str, str]]:
    if not isinstance(dependency.network, Autoencoder):
        yield (
            "depends_on",
            f"must be an autoencoder, but {model.depends_on} is of family {dependency.network.family}; choose another",
        )
    elif dependency.network.architecture == "recurrent":
        yield (
            "depends_on",
            f"must have a dense or conv encoder, but {model.depends_on} is recurrent; choose another",
        )
    if dependency.dataset != model.dataset:
        yield (
            "depends_on",
            f"must be an autoencoder trained on {model.dataset}, but {model.depends_on} is trained on"
            f" {dependency.dataset}; choose another",
        )


def _check_reference(model: Model, dataset: DatasetConfig, dependency: Model) -> Iterator[tuple[str, str]]:
    if dataset.task == "unsupervised":
        yield (
            "depends_on",
            f"a reference model needs classes, but the task of {model.dataset} is unsupervised; set it to {NO_MODEL}",
        )
    elif dependency.network.family in NON_CLASSIFIER_FAMILIES:
        yield (
            "depends_on",
            f"the reference model must be a classifier, but {model.depends_on} is of family"
            f" {dependency.network.family}; choose another",
        )
    elif dependency.dataset != model.dataset:
        yield (
            "depends_on",
            f"the reference model must be trained on {model.dataset}, but {model.depends_on} is trained on"
            f" {dependency.dataset}; choose another",
        )
    elif dataset.task != "classification":
        yield (
            "depends_on",
            f"the reference model must be a classifier, but {model.depends_on} is a regressor; choose another, or"
            f" {NO_MODEL}",
        )
