"""Two generators and their critics, ready to be trained against each other.

Shapes: n images, c channels, y x x pixels.
"""

from functools import partial
from importlib import import_module
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ..config.models import Model
from ..config.networks.cyclegan import Cyclegan
from ..data.dataset import Dataset
from ..errors import ParamsError
from ..models.feature_extractor import Expert
from ..models.serialization import last_part
from ..preprocessing.pipeline import Chain
from .assemble import Assembled, Clock, load_family, of_model, untrained
from .batches import Batches, unpaired
from .contest import of_critic, see_by
from .descent import Descent
from .learning import laid_out

HALF = 127.5
"""Half the range of pixels, which is 1 to the losses."""


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
