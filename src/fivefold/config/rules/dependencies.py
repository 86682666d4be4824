"""What a model may use of another one."""

from collections.abc import Iterator, Mapping

from ..datasets import DatasetConfig
from ..models import NO_MODEL, Model
from ..networks.autoencoder import Autoencoder, GenerationMode
from ..networks.cyclegan import Cyclegan
from ..networks.gan import Gan
from ..selection import EncoderSelection

NON_CLASSIFIER_FAMILIES = ("autoencoder", "gan", "cyclegan")
"""Families that tell no classes."""


def check_dependencies(
    name: str, model: Model, dataset: DatasetConfig, models: Mapping[str, Model]
) -> Iterator[tuple[str, str]]:
    """Yield each key of a model, and why it cannot use what it names, or needs to name what it uses."""
    if name == NO_MODEL:
        yield "depends_on", f"{NO_MODEL} is what `uses` says for no model, so no model can have that name; rename it"
    if model.source_model is None:
        if isinstance(model.select, EncoderSelection):
            yield (
                "depends_on",
                "select.method autoencoder takes a model's encoder, but it names none; name an autoencoder",
            )
        return
    if model.source_model not in models:
        yield (
            "depends_on",
            f"must name a model, or {NO_MODEL}, but is {model.depends_on!r}; params.yaml has {', '.join(models)}",
        )
    elif name in (behind := _dependency_chain(name, models)):
        way = " uses ".join([name, *behind[: behind.index(name) + 1]])
        yield "depends_on", f"a model must not wait for itself, but {way}; set one to {NO_MODEL}"
    elif isinstance(model.select, EncoderSelection):
        yield from _check_encoder(model, models[model.source_model])
    elif _generates_samples(model, dataset):
        yield from _check_reference(model, dataset, models[model.source_model])
    else:
        yield (
            "depends_on",
            "an encoder is used by select {method: autoencoder}, and a judge by what makes records: a gan, or an"
            f" autoencoder for generation; {name} is neither, so set it to {NO_MODEL}",
        )


def _generates_samples(model: Model, dataset: DatasetConfig) -> bool:
    """Say whether a model makes records that a classifier can compare with real ones."""
    match model.network:
        case Autoencoder(mode=GenerationMode()):
            return dataset.kind == "images"
        case Gan() | Cyclegan():
            return True
    return False


def _dependency_chain(name: str, models: Mapping[str, Model]) -> list[str]:
    """Return the model that one uses, the one that this uses, and so on, up to the first that comes again."""
    found: list[str] = []
    while name in models and (lender := models[name].source_model) is not None and lender not in found:
        found.append(lender)
        name = lender
    return found


def _check_encoder(model: Model, dependency: Model) -> Iterator[tuple[str, str]]:
    if not isinstance(dependency.network, Autoencoder):
        yield (
            "depends_on",
            f"must name an autoencoder, but {model.depends_on} is of family {dependency.network.family}; name another",
        )
    elif dependency.network.architecture == "recurrent":
        yield (
            "depends_on",
            f"{model.depends_on} is recurrent, and only dense and conv encoders can be used; name another",
        )
    if dependency.dataset != model.dataset:
        yield (
            "depends_on",
            f"must name an autoencoder of {model.dataset}, but {model.depends_on} is of {dependency.dataset}; name another",
        )


def _check_reference(model: Model, dataset: DatasetConfig, dependency: Model) -> Iterator[tuple[str, str]]:
    if dataset.task == "unsupervised":
        yield (
            "depends_on",
            f"a judge must be a classifier of {model.dataset}, but its task is unsupervised; set it to {NO_MODEL}",
        )
    elif dependency.network.family in NON_CLASSIFIER_FAMILIES:
        yield (
            "depends_on",
            f"a judge must be a classifier, but {model.depends_on} is of family {dependency.network.family}; name another",
        )
    elif dependency.dataset != model.dataset:
        yield (
            "depends_on",
            f"a judge must be of {model.dataset}, but {model.depends_on} is of {dependency.dataset}; name another",
        )
    elif dataset.task != "classification":
        yield (
            "depends_on",
            f"a judge must be a classifier, but {model.depends_on} tells values; name another, or {NO_MODEL}",
        )
