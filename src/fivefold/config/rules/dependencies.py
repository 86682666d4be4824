"""What a model may use of another one."""

from collections.abc import Iterator, Mapping

from ..datasets import Dataset
from ..models import NOTHING, Model
from ..networks.autoencoder import Autoencoder, Generate
from ..networks.cyclegan import Cyclegan
from ..networks.gan import Gan
from ..selection import Encoded

NO_CLASSIFIERS = ("autoencoder", "gan", "cyclegan")
"""Families that tell no classes."""


def conflicts_of_uses(
    name: str, model: Model, dataset: Dataset, models: Mapping[str, Model]
) -> Iterator[tuple[str, str]]:
    """Yield each key of a model, and why it cannot use what it names, or needs to name what it uses."""
    if name == NOTHING:
        yield "uses", f"{NOTHING} is what `uses` says for no model, so no model can have that name; rename it"
    if model.lender is None:
        if isinstance(model.select, Encoded):
            yield "uses", "select.method autoencoder takes a model's encoder, but it names none; name an autoencoder"
        return
    if model.lender not in models:
        yield "uses", f"must name a model, or {NOTHING}, but is {model.uses!r}; params.yaml has {', '.join(models)}"
    elif name in (behind := _behind(name, models)):
        way = " uses ".join([name, *behind[: behind.index(name) + 1]])
        yield "uses", f"a model must not wait for itself, but {way}; set one to {NOTHING}"
    elif isinstance(model.select, Encoded):
        yield from _of_encoder(model, models[model.lender])
    elif _makes_records(model, dataset):
        yield from _of_judge(model, dataset, models[model.lender])
    else:
        yield (
            "uses",
            "an encoder is used by select {method: autoencoder}, and a judge by what makes records: a gan, or an"
            f" autoencoder for generation; {name} is neither, so set it to {NOTHING}",
        )


def _makes_records(model: Model, dataset: Dataset) -> bool:
    """Say whether a model makes records that a classifier can compare with real ones."""
    match model.network:
        case Autoencoder(purpose=Generate()):
            return dataset.kind == "images"
        case Gan() | Cyclegan():
            return True
    return False


def _behind(name: str, models: Mapping[str, Model]) -> list[str]:
    """Return the model that one uses, the one that this uses, and so on, up to the first that comes again."""
    found: list[str] = []
    while name in models and (lender := models[name].lender) is not None and lender not in found:
        found.append(lender)
        name = lender
    return found


def _of_encoder(model: Model, other: Model) -> Iterator[tuple[str, str]]:
    if not isinstance(other.network, Autoencoder):
        yield "uses", f"must name an autoencoder, but {model.uses} is of family {other.network.family}; name another"
    elif other.network.design == "recurrent":
        yield "uses", f"{model.uses} is recurrent, and only dense and conv encoders can be used; name another"
    if other.dataset != model.dataset:
        yield (
            "uses",
            f"must name an autoencoder of {model.dataset}, but {model.uses} is of {other.dataset}; name another",
        )


def _of_judge(model: Model, dataset: Dataset, other: Model) -> Iterator[tuple[str, str]]:
    if dataset.task == "unsupervised":
        yield (
            "uses",
            f"a judge must be a classifier of {model.dataset}, but its task is unsupervised; set it to {NOTHING}",
        )
    elif other.network.family in NO_CLASSIFIERS:
        yield (
            "uses",
            f"a judge must be a classifier, but {model.uses} is of family {other.network.family}; name another",
        )
    elif other.dataset != model.dataset:
        yield "uses", f"a judge must be of {model.dataset}, but {model.uses} is of {other.dataset}; name another"
    elif dataset.task != "classification":
        yield "uses", f"a judge must be a classifier, but {model.uses} tells values; name another, or {NOTHING}"
