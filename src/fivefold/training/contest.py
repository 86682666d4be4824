"""A generator and its critic, ready to be trained against each other.

Shapes: n rows, k classes (0: none are asked for), r what a record is, d numbers seen in it.
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

from ..data.records import Dataset, Records
from ..errors import ParamsError
from ..families.expert import Expert, features_of
from ..families.find import build_network
from ..families.gan.params import Gan
from ..families.saved import last_part, network_shape
from ..params.models import Model
from ..params.training import Training
from ..preprocessing.chain import Chain
from .assemble import Assembled, Clock, load_family
from .batches import Batches, Order, shuffled
from .descent import Descent
from .learning import laid_out


def assemble(
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
    if training.threads:
        torch.set_num_threads(training.threads)
    torch.manual_seed(clock.seed)
    built = build_network(network, network_shape(schema, chain, training.loss))
    output = last_part(network, schema, chain, training.loss)
    k = len(schema.classes) if network.conditional else 0
    (x, c), (held_out, held_c) = (_rows(chain, records, k, device) for records in (dataset.train, dataset.validation))
    for which, rows in (("training", x), ("validation", held_out)):
        if len(rows) < 2:
            raise ParamsError(
                f"models.{name}: a generator's records are compared with {which} rows, two at least, but"
                f" {params.dataset} has {len(rows)}; change its split"
            )
    load_family(network.family)
    looks = import_module(f"fivefold.families.{network.family}.looks")
    z = looks.noise(looks.ROWS, network.latent, held_c, torch.Generator().manual_seed(clock.seed)).to(device)
    size = training.batch_size
    n = len(x) if len(x) < size else len(x) // size * size
    batches = Batches(x, c, size, order=_whole(shuffled(len(x), *clock), n), n=n, part=part, parts=parts)
    module = import_module(f"fivefold.families.{network.family}.module").Module(
        built.to(memory_format=torch.channels_last),
        network,
        tuple(
            partial(Descent, params=each, steps=batches.steps, parts=parts)
            for each in (training, of_critic(training, network.critic_rate))
        ),
        looks.Looks(see_by(judge, output.get_submodule("undo"), device), held_out, z),
        steps=batches.steps,
        epochs=training.max_epochs,
        average=training.ema > 0,
        precision=training.precision,
    )
    return Assembled(schema, module, batches, Batches(held_out[:1], held_c[:1], 1), lambda _: output)


def _rows(chain: Chain, records: Records, k: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return features (n, *r), and one 1 among zeros for the class of each row, (n, k)."""
    classes = (
        functional.one_hot(torch.from_numpy(np.array(records.y)), k).float() if k else torch.zeros(len(records), 0)
    )
    return laid_out(chain(records.x), device), classes.to(device)


def _whole(order: Order, n: int) -> Order:
    """Return an order without the rows that do not fill a batch: its norms would be of few, or of one."""
    return lambda: order()[:n]


def of_critic(training: Training, rate: float) -> Training:
    """Return how the critic is trained: as the generator is, but for its learning rate."""
    tree = training.model_dump(mode="json")
    tree["optimizer"]["lr"] *= rate
    return Training.model_validate_json(json.dumps(tree))


def see_by(judge: Expert | None, undo: nn.Module, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return what gives, of features (b, *r), what records are compared by, (b, d); undo: features -> raw records."""
    if judge is None:
        return lambda x: x
    judge.saved.model.to(device)
    undo.to(device)
    features = features_of(judge.saved)
    return lambda x: features(undo(x))
