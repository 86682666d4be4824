"""A generator and its critic, ready to be trained against each other.

Shapes: n rows, k classes (0: none are asked for), r what a record is, d numbers seen in it.

Two generators and their critics, ready to be trained against each other.

Shapes: n images, c channels, y x x pixels.
"""

import json
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config.models import Model
from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from ..config.training import Training
from ..data.dataset import Array, Dataset, Records
from ..errors import ParamsError
from ..models.feature_extractor import Expert, features_of
from ..models.serialization import last_part
from ..preprocessing.pipeline import Chain
from .batches import Batches, Order, drawn, shuffled, unpaired
from .objectives import laid_out, rarity
from .optimization import Descent
from .previews import Showing, bounds_of, draw, fixed
from .supervised import Assembled, Clock, load_family, of_model, untrained


def build_adversarial_setup(
    name: str,
    params: Model,
    dataset: Dataset,
    chain: Chain,
    judge: Expert | None,
    clock: Clock,
    *,
    device: torch.device,
    part: int = 0,
    parts: int = 1,
) -> Assembled:
    """Build both players of model `name` untrained, and lay its rows on `device`, which is number `part` of `parts`.

    judge: a classifier, by which records are compared; None: by their features.

    Raises:
        ParamsError: the network does not fit the data, the preprocessing cannot be undone, or rows are too few.
    """
    training, schema = params.training, dataset.schema
    network = cast(Gan, params.network)
    built = untrained(name, params, schema, chain, clock.seed)
    output = last_part(network, schema, chain, training.loss)
    k = len(schema.classes) if network.conditional else 0
    x, held_out = (laid_out(features, device) for features in _features(chain, dataset, output, clock.seed))
    c, held_c = (_classes(records, k).to(device) for records in (dataset.train, dataset.validation))
    for which, rows, least in (("training", x, max(2, network.pac)), ("validation", held_out, 2)):
        if len(rows) < least:
            raise ParamsError(
                f"models.{name}: a generator's records are compared with {which} rows, {least} at least, but"
                f" {params.dataset} has {len(rows)}; change its split"
            )
    output.to(device)
    load_family(network.family)
    looks = import_module(f"fivefold.models.{network.family}.validation")
    z = looks.noise(looks.ROWS, network.latent, held_c, torch.Generator().manual_seed(clock.seed)).to(device)
    size = training.batch_size
    n = len(x) // network.pac * network.pac if len(x) < size else len(x) // size * size
    order = shuffled(len(x), *clock)
    if training.imbalance == "sampling":
        order = drawn(rarity(schema, dataset.train.y)[np.array(dataset.train.y)], *clock)
    batches = Batches(x, c, size, order=_whole(order, n), n=n, part=part, parts=parts)
    module = import_module(f"fivefold.models.{network.family}.module").Module(
        built.to(memory_format=torch.channels_last),
        network,
        tuple(
            partial(Descent, params=each, steps=batches.steps, parts=parts)
            for each in (training, of_critic(training, network.critic_rate))
        ),
        looks.Looks(see_by(judge, lambda x: output(x, x), device), held_out, z),
        steps=batches.steps,
        epochs=training.max_epochs,
        average=training.ema > 0,
        precision=training.precision,
    )
    showing = None
    if schema.kind == "images":
        seen, bounds = fixed(network.latent, k, clock.seed).to(device), bounds_of(dataset)
        showing = Showing(lambda: draw(module.kept, module.kept, output, seen, bounds), network.evaluate_every)
    one = Batches(held_out[:1], held_c[:1], 1)
    return Assembled(schema, module, batches, one, lambda _: output, showing=showing)


def _features(chain: Chain, dataset: Dataset, output: nn.Module, seed: int) -> tuple[Array, Array]:
    """Return features of training and of validation rows, (n, *r): of a table their scores, which `output` learns."""
    train, held_out = chain(dataset.train.x), chain(dataset.validation.x)
    scores = getattr(output, "scores", None)
    if scores is None:
        return train, held_out
    random = np.random.default_rng(seed)
    return scores.learn(train, random), scores.of(held_out, train, random)


def _classes(records: Records, k: int) -> Tensor:
    """Return one 1 among zeros for the class of each row, (n, k)."""
    return functional.one_hot(torch.from_numpy(np.array(records.y)), k).float() if k else torch.zeros(len(records), 0)


def _whole(order: Order, n: int) -> Order:
    """Return an order without the rows that do not fill a batch: its norms would be of few, or of one."""
    return lambda: order()[:n]


def of_critic(training: Training, rate: float) -> Training:
    """Return how the critic is trained: as the generator is, but for its learning rate."""
    tree = training.model_dump(mode="json")
    tree["optimizer"]["lr"] *= rate
    return Training.model_validate_json(json.dumps(tree))


def see_by(judge: Expert | None, undo: Callable[[Tensor], Tensor], device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return what gives, of features (b, *r), what records are compared by, (b, d); undo: features -> raw records."""
    if judge is None:
        return lambda x: x
    judge.saved.model.to(device)
    features, width = features_of(judge.saved), judge.saved.schema.shape[0]
    return lambda x: features(undo(x)[:, :width])  # of a table without the targets


HALF = 127.5
"""Half the range of pixels, which is 1 to the losses."""


def build_translation_setup(
    name: str,
    params: Model,
    dataset: Dataset,
    chain: Chain,
    judge: Expert | None,
    clock: Clock,
    *,
    device: torch.device,
    part: int = 0,
    parts: int = 1,
) -> Assembled:
    """Build all players of model `name` untrained, and lay its rows on `device`, which is number `part` of `parts`.

    An epoch shows each image of the larger class once, and of the other one as many.

    judge: a classifier, by which images are compared; None: by their pixels.

    Raises:
        ParamsError: the network does not fit the data, the preprocessing cannot be undone, or rows are too few.
    """
    training, schema = params.training, dataset.schema
    network = cast(Cyclegan, params.network)
    built = untrained(name, params, schema, chain, clock.seed)
    with of_model(name):
        output = last_part(network, schema, chain, training.loss).to(device)
    _enough(name, params.dataset, dataset)
    rows, held_out = (
        _by_class(laid_out(chain(records.x), device), records.y) for records in (dataset.train, dataset.validation)
    )
    first, second = rows
    order = unpaired(len(first), len(second), *clock)
    batches = Batches(
        first, second, training.batch_size, order=order, n=max(len(first), len(second)), part=part, parts=parts
    )
    load_family(network.family)
    looks = import_module(f"fivefold.models.{network.family}.validation")
    raw = output.get_submodule("undo")
    module = import_module(f"fivefold.models.{network.family}.module").Module(
        built.to(memory_format=torch.channels_last),
        network,
        tuple(
            partial(Descent, params=each, steps=batches.steps, parts=parts)
            for each in (training, *[of_critic(training, network.critic_rate)] * 2)
        ),
        looks.Looks(see_by(judge, raw, device), raw, held_out),
        raw.unit() / HALF,  # type: ignore[operator]
        steps=batches.steps,
        epochs=training.max_epochs,
        average=training.ema > 0,
        precision=training.precision,
    )
    one = held_out[0][:1]
    return Assembled(schema, module, batches, Batches(one, one, 1), lambda _: output)


def _enough(name: str, source: str, dataset: Dataset) -> None:
    """Raise a `ParamsError` if a class has less than two rows in a set: a distance takes two. Studies test nothing."""
    for which, records in dataset.splits().items():
        if which == "test" and not len(records):
            continue
        for i, label in enumerate(dataset.schema.classes):
            if (count := int((np.asarray(records.y) == i).sum())) < 2:
                raise ParamsError(
                    f"models.{name}: translated images are compared with {which} rows of either class, two at least,"
                    f" but {source} has {count} of {label}; change its split"
                )


def _by_class(x: Tensor, y: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return the rows of each class, (n, c, y, x)."""
    first, second = (x[torch.from_numpy(np.flatnonzero(np.asarray(y) == i)).to(x.device)] for i in range(2))
    return first, second
