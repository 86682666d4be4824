"""A network that is ready to be trained, and what it is trained with.

Shapes: n rows, k outputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..data.records import Array, Dataset
from ..data.schema import Schema
from ..data.windows import joined
from ..errors import ParamsError
from ..families.depth import Layer
from ..families.find import build_network
from ..families.saved import network_shape
from ..families.source import Source, take
from ..families.supervised import VALIDATION_ROWS, Supervised
from ..families.together import objective_of
from ..params.losses import Bce, Quantile
from ..params.models import Model
from ..params.training import Training
from ..preprocessing.chain import Chain
from .augment.augmenter import Augmenter
from .batches import Batches, Order, drawn, shuffled, strided
from .descent import Descent
from .doctor.course import Inputs
from .doctor.inputs import inputs_of
from .targets import Targets, rarity


class Clock(NamedTuple):
    """What all that is drawn in training follows from: the seed, and the number of the epoch."""

    seed: int
    epoch: Callable[[], int]


@dataclass(frozen=True)
class Assembled:
    """What a training needs beside a trainer.

    schema: of the data as this training has it told.
    inputs: what the doctor is to know of the rows.
    taken: layers that come from a trained model, without the last one.
    """

    schema: Schema
    targets: Targets
    module: Supervised
    batches: Batches
    validation: Batches
    inputs: Inputs
    taken: list[Layer]


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
    training, schema = params.training, _told(dataset.schema, params.training)
    if isinstance(training.loss, Bce) and len(schema.classes) != 2:
        raise ParamsError(
            f"models.{name}.training.loss: bce is of two classes, but {params.dataset} has {len(schema.classes)};"
            " choose cross_entropy"
        )
    if training.threads:
        torch.set_num_threads(training.threads)
    torch.manual_seed(clock.seed)
    try:
        network = build_network(params.network, network_shape(schema, chain, training.loss))
    except ParamsError as error:
        raise ParamsError(f"models.{name}.{error}") from None
    taken = _started(name, params, source, network, schema, chain)
    targets = Targets.fit(schema, dataset.train)
    rows, held_out = (
        (_laid_out(chain(records.x), schema, device), targets(records).to(device))
        for records in (dataset.train, dataset.validation)
    )
    shared = partial(Batches, part=part, parts=parts)
    batches, validation = _batches(params, schema, network, rows, held_out, clock, shared)
    module = _module(params, schema, network, dataset.train.y, batches, _augmenter(name, training, schema, chain))
    balanced = training.imbalance != "none"
    inputs = inputs_of(schema, chain.names, rows, held_out, module.objective, balanced=balanced)
    return Assembled(schema, targets, module, batches, validation, inputs, taken)


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


def _told(schema: Schema, training: Training) -> Schema:
    """Return the schema of a model so trained: what it tells may be quantiles, or differences."""
    levels = training.loss.levels if isinstance(training.loss, Quantile) else ()
    return schema.model_copy(update={"levels": levels, "base": training.base})


def _laid_out(x: Array, schema: Schema, device: torch.device) -> Tensor:
    """Return features on the device: images with channels last, as convolutions are fastest; of windows one row."""
    if schema.task == "language":
        return torch.from_numpy(joined(x)).to(device).unfold(0, x.shape[1], 1)  # (n + t - 1,) seen as (n, t)
    features = torch.from_numpy(np.require(x, requirements="W"))  # a file's memory is copied
    return (features.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else features).to(device)


def _batches(
    params: Model,
    schema: Schema,
    network: nn.Module,
    rows: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    clock: Clock,
    shared: Callable[..., Batches],
) -> tuple[Batches, Batches]:
    """Return the batches of training and of validation rows; of a text, windows that follow each other."""
    training, n, m = params.training, len(rows[0]), len(held_out[0])
    stride = schema.shape[0] if learns_all_steps(schema, network) else 1
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


def load_family(family: str) -> type[Supervised]:
    """Import all code of a family and return its module: before a fingerprint is taken, which is of what is loaded."""
    import_module(f"fivefold.families.{family}.network")
    kind: type[Supervised] = import_module(f"fivefold.families.{family}.module").Module
    return kind


def learns_all_steps(schema: Schema, network: nn.Module) -> bool:
    """Say whether a network learns the next token at all steps of a text at once."""
    return schema.task == "language" and hasattr(network, "every_step")


def _augmenter(name: str, training: Training, schema: Schema, chain: Chain) -> Augmenter | None:
    if not training.augment.active:
        return None
    blank = None
    if schema.kind == "images":
        side = min(schema.shape[1:])
        if training.augment.crop >= side:
            raise ParamsError(
                f"models.{name}.training.augment.crop must be below the shorter side of an image, {side} pixels, but is"
                f" {training.augment.crop}; lower it"
            )
        pixel = np.full((1, *schema.shape), round(training.augment.constant), np.uint8)
        blank = torch.from_numpy(chain(pixel)[0, :, :1, :1])
    masked = any(step.kind == "mask" for step in chain.steps)
    return Augmenter(training.augment, classes=len(schema.classes), masked=masked, blank=blank)


def _module(
    params: Model, schema: Schema, network: nn.Module, y: Array, batches: Batches, augment: Augmenter | None
) -> Supervised:
    training = params.training
    weights = rarity(schema, y) if training.imbalance == "weights" else None
    objective = objective_of(schema, training.loss, training.tasks, weights)
    return load_family(params.network.family)(
        network.to(memory_format=torch.channels_last),
        objective,
        partial(
            Descent,
            params=training,
            steps=batches.steps,
            parts=batches.parts,
            beside=tuple(objective.parameters()),
        ),
        steps=batches.steps,
        all_steps=learns_all_steps(schema, network),
        average=training.ema > 0,
        precision=training.precision,
        faster=training.compile,
        augment=augment,
    )
