"""A network that is ready to be trained, and what it is trained with.

Shapes: n rows, k outputs.

The rows that a network learns, and their preprocessing.
"""

import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import NamedTuple, cast

import torch
from torch import nn

from ..config.datasets import Dataset as DatasetParams
from ..config.models import Model
from ..config.networks.gan import Gan
from ..config.training import Training
from ..data.dataset import Dataset
from ..data.schema import Schema
from ..errors import ParamsError
from ..models.factory import build_network
from ..models.lightning import VALIDATION_ROWS, Supervised, Trained
from ..models.precision import use_threads
from ..models.serialization import network_shape
from ..models.transfer import Layer, Source, take
from ..preprocessing.pipeline import Chain
from .batches import Batches, Order, drawn, shuffled, strided
from .diagnostics.causes import inputs_of
from .diagnostics.summary import Inputs
from .objectives import Learning, learning_of, rarity, told
from .optimization import Descent
from .previews import Showing, of_autoencoder


class Clock(NamedTuple):
    """What all that is drawn in training follows from: the seed, and the number of the epoch."""

    seed: int
    epoch: Callable[[], int]


@dataclass(frozen=True)
class Assembled:
    """What a training needs beside a trainer.

    schema: of the data as this training has it told.
    output: the trained network -> the last part of its model.
    inputs: what the doctor is to know of the rows; None if nothing.
    taken: layers that come from a trained model, without the last one.
    showing: of a model that makes images.
    """

    schema: Schema
    module: Trained
    batches: Batches
    validation: Batches
    output: Callable[[nn.Module], nn.Module]
    inputs: Inputs | None = None
    taken: list[Layer] = field(default_factory=list)
    showing: Showing | None = None


def assemble(
    name: str,
    params: Model,
    dataset: Dataset,
    chain: Chain,
    source: Source | None,
    clock: Clock,
    *,
    device: torch.device,
    part: int = 0,
    parts: int = 1,
) -> Assembled:
    """Build model `name` untrained, and lay its rows on `device`, which is number `part` of `parts`.

    Raises:
        ParamsError: the network, the loss or the augmentation does not fit the data, or the network `source`.
    """
    training, schema = params.training, told(dataset.schema, params.training)
    network = untrained(name, params, schema, chain, clock.seed)
    taken = _started(name, params, source, network, schema, chain)
    learning = learning_of(name, params, dataset, schema, chain, network, clock.seed, device)
    shared = partial(Batches, part=part, parts=parts)
    batches, validation = _batches(params, learning, clock, shared)
    module = _module(params, learning, network, batches)
    inputs = seen_by(learning, training, chain)
    showing = of_autoencoder(params, dataset, chain, module, clock.seed)
    return Assembled(schema, module, batches, validation, learning.output, inputs, taken, showing)


def seen_by(learning: Learning, training: Training, chain: Chain) -> Inputs:
    """Return what the doctor is to know of the rows of a training."""
    return inputs_of(
        learning.schema, chain.names, learning.train, learning.held_out, learning.objective,
        balanced=training.imbalance != "none",
    )  # fmt: skip


def untrained(name: str, params: Model, schema: Schema, chain: Chain, seed: int) -> nn.Module:
    """Return the network of model `name`, its weights drawn by `seed`, from where all chance of the training follows.

    Raises:
        ParamsError: it does not fit the data.
    """
    use_threads(params.training.threads)
    torch.manual_seed(seed)
    with of_model(name):
        return build_network(params.network, network_shape(schema, chain, params.training.loss))


@contextmanager
def of_model(name: str) -> Iterator[None]:
    """Have a `ParamsError` of a network's own key say of which model."""
    try:
        yield
    except ParamsError as error:
        raise ParamsError(f"models.{name}.{error}") from None


def _started(
    name: str, params: Model, source: Source | None, network: nn.Module, schema: Schema, chain: Chain
) -> list[Layer]:
    """Put the weights of `source` into a new network, and say so; return the layers that may be frozen at first."""
    start = params.training.start
    if source is None or start is None:
        return []
    try:
        taken = take(source, network, params.network, schema, chain, last=start.layers == "all")
    except ParamsError as error:
        raise ParamsError(f"models.{name}.training.start: {error}") from None
    print(f"{name} starts from {source.title}: {taken}", flush=True)
    return taken.below


def _batches(
    params: Model, learning: Learning, clock: Clock, shared: Callable[..., Batches]
) -> tuple[Batches, Batches]:
    """Return the batches of training and of validation rows; of a text, windows that follow each other."""
    training, schema, rows, held_out = params.training, learning.schema, learning.train, learning.held_out
    n, m = len(rows[0]), len(held_out[0])
    stride = schema.shape[0] if learning.how == "every_step" else 1
    order: Order = shuffled(n, *clock)
    if stride > 1:
        order = strided(n, min(stride, n), *clock)
    elif training.imbalance == "sampling":
        classes = (rows[1][:, 0].long() if schema.also else rows[1]).cpu()
        order = drawn(rarity(schema, classes.numpy())[classes], *clock)
    x, y = (part[:: min(stride, m)] for part in held_out)
    return (
        shared(*rows, training.batch_size, order=order, n=n // min(stride, n)),
        # a text's outputs are as many as its vocabulary, at each step
        shared(x, y, VALIDATION_ROWS if stride == 1 else training.batch_size),
    )


def load_family(family: str) -> type[Trained]:
    """Import all code of a family and return its module: before a fingerprint is taken, which is of what is loaded."""
    for file in pkgutil.iter_modules(import_module(f"fivefold.models.{family}").__path__):
        import_module(f"fivefold.models.{family}.{file.name}")
    kind: type[Trained] = import_module(f"fivefold.models.{family}.module").Module
    return kind


def _module(params: Model, learning: Learning, network: nn.Module, batches: Batches) -> Supervised:
    training = params.training
    return cast(type[Supervised], load_family(params.network.family))(
        network.to(memory_format=torch.channels_last),
        learning.objective,
        partial(
            Descent,
            params=training,
            steps=batches.steps,
            parts=batches.parts,
            beside=tuple(learning.objective.parameters()),
        ),
        steps=batches.steps,
        how=learning.how,
        average=training.ema > 0,
        precision=training.precision,
        faster=training.compile,
        augment=learning.augment,
    )


def rows_of(params: Model, block: DatasetParams, dataset: Dataset, chain: Chain) -> tuple[Dataset, Chain]:
    """Return rows as the network sees them: what makes a table's rows makes targets too, as columns like the others.

    block: of the dataset; chain: fitted to its features.
    """
    network = params.network
    if not isinstance(network, Gan) or block.kind != "table":
        return dataset, chain
    # scikit-learn is paid for by tables that are made alone
    rows: tuple[Dataset, Chain] = import_module(f"fivefold.models.{network.family}.tabular").whole_rows(
        network, block, dataset
    )
    return rows
