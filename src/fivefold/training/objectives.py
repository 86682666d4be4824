"""What a network is to learn of its rows: the targets that they have, or the rows themselves.

Shapes: n rows, k outputs.

Targets as a network learns them, and how much each class counts.

Shapes: n rows, k values.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import numpy as np
import torch
from torch import Tensor, nn

from ..config.models import Model
from ..config.networks.autoencoder import Autoencoder, Denoising, Detect
from ..config.training import Bce, Quantile, Training
from ..data.baselines import joined, places
from ..data.dataset import Array, Dataset, Records
from ..data.schema import Schema
from ..data.targets import goals
from ..errors import ParamsError
from ..models.lightning import VALIDATION_ROWS, How
from ..models.losses import Judge, objective_of
from ..models.serialization import last_part, network_shape, output_of
from ..preprocessing.pipeline import Chain
from .augmentation.augmenter import Augmenter


@dataclass(frozen=True)
class Targets:
    """Fitted to training rows: values are learnt with mean 0 and deviation 1, classes by their index.

    shift, scale: (k,), mean and deviation of what is learnt; further targets stand behind, classes with 0 and 1.
    """

    schema: Schema
    shift: Array
    scale: Array

    @classmethod
    def fit(cls, schema: Schema, train: Records) -> "Targets":
        """Learn mean and deviation from training rows, those of a further target from the rows that have it."""
        each = [_spread(goal.schema, goal.records(train)) for goal in goals(schema)]
        shift, scale = (np.concatenate(arrays) for arrays in zip(*each, strict=True))
        return cls(schema, shift, scale)

    def __call__(self, records: Records) -> Tensor:
        """Return class indices (n,) int64, or values (n, k) float32.

        With m further targets: (n, k + m) float32, where classes are indices, and NaN is missing.
        """
        if records.also is None:
            if self.schema.classes:
                return torch.from_numpy(records.y.astype(np.int64))
            values = _differences(self.schema, records)
        else:
            leading = records.y[:, None] if self.schema.classes else _differences(self.schema, records)
            values = np.column_stack([leading, records.also])
        return torch.from_numpy(((values - self.shift) / self.scale).astype(np.float32))


def _spread(schema: Schema, train: Records) -> tuple[Array, Array]:
    """Return mean and deviation of what is learnt of one target."""
    if schema.classes:
        return np.zeros(1), np.ones(1)
    values = _differences(schema, train)
    deviation = values.std(axis=0)
    return values.mean(axis=0), np.where(deviation == 0, 1.0, deviation)


def _differences(schema: Schema, records: Records) -> Array:
    """Return values, or their logarithms, as differences from the schema's base."""
    values = records.y.reshape(len(records), -1)
    values = np.log(values) if schema.log else values
    if schema.base == "none":
        return values
    before = records.x.reshape(len(records), -1)[:, places(schema, schema.base)]
    return np.asarray(values - (np.log(before) if schema.log else before))


def rarity(schema: Schema, y: Array) -> Tensor:
    """Return what a row of each class counts so that all classes count alike, the mean over rows 1; (classes,)."""
    counts = np.bincount(y, minlength=len(schema.classes))
    present = np.maximum(counts, 1)
    return torch.from_numpy((len(y) / (np.count_nonzero(counts) * present)).astype(np.float32))


Rows = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Learning:
    """Rows on their device, and how what a network tells of them is judged.

    schema: of the data as this training has it told.
    train, held_out: features (n, ...) and what is to be told of them.
    how: which method of the network is trained.
    augment: changes a training batch.
    output: the trained network -> the last part of its model.
    """

    schema: Schema
    train: Rows
    held_out: Rows
    objective: Judge
    how: How
    augment: nn.Module | None
    output: Callable[[nn.Module], nn.Module]


def told(schema: Schema, training: Training) -> Schema:
    """Return the schema of a model so trained: what it tells may be quantiles, or differences."""
    levels = training.loss.levels if isinstance(training.loss, Quantile) else ()
    return schema.model_copy(update={"levels": levels, "base": training.base})


def learning_of(
    name: str,
    params: Model,
    dataset: Dataset,
    schema: Schema,
    chain: Chain,
    network: nn.Module,
    seed: int,
    device: torch.device,
) -> Learning:
    """Return what `network` is to learn, its rows laid on `device`.

    schema: of the dataset, as this training has it told.

    Raises:
        ParamsError: the loss does not fit the data.
    """
    if isinstance(params.network, Autoencoder):
        return _of_records(name, params, params.network, dataset, schema, chain, seed, device)
    return _of_targets(name, params, dataset, schema, chain, network, device)


def _of_targets(
    name: str,
    params: Model,
    dataset: Dataset,
    schema: Schema,
    chain: Chain,
    network: nn.Module,
    device: torch.device,
) -> Learning:
    training = params.training
    if isinstance(training.loss, Bce) and len(schema.classes) != 2:
        raise ParamsError(
            f"models.{name}.training.loss: bce is of two classes, but {params.dataset} has {len(schema.classes)};"
            " choose cross_entropy"
        )
    targets = Targets.fit(schema, dataset.train)
    train, held_out = (
        (_laid_out(chain(records.x), schema, device), targets(records).to(device))
        for records in (dataset.train, dataset.validation)
    )
    weights = rarity(schema, dataset.train.y) if training.imbalance == "weights" else None
    language = schema.task == "language" and hasattr(network, "every_step")
    return Learning(
        schema,
        train,
        held_out,
        objective_of(schema, training.loss, training.tasks, weights),
        "every_step" if language else "forward",
        _augmenter(name, training, schema, chain),
        lambda _: output_of(schema, training.loss, targets.shift, targets.scale),
    )


def _of_records(
    name: str,
    params: Model,
    network: Autoencoder,
    dataset: Dataset,
    schema: Schema,
    chain: Chain,
    seed: int,
    device: torch.device,
) -> Learning:
    """Rows are told by themselves; of a detector of anomalies those of normal classes."""
    train, held_out = (
        _laid_out(chain(normal(name, network, schema, records).x), schema, device)
        for records in (dataset.train, dataset.validation)
    )
    shape = network_shape(schema, chain, params.training.loss)
    objective = import_module(f"fivefold.models.{network.family}.loss").Rebuilding(network, params.training.loss, shape)
    noise, seen = None, held_out
    if isinstance(network.variant, Denoising):
        features = train[..., :-1] if shape.masked else train
        noise = import_module(f"fivefold.models.{network.family}.noise").Noise(
            network.variant, masked=shape.masked, low=float(features.min()), high=float(features.max())
        )
        seen = noise.spoil(held_out, torch.Generator(device).manual_seed(seed))  # the same in every epoch
    part = last_part(network, schema, chain, params.training.loss)  # refused here, if at all: before training
    return Learning(
        schema, (train, train), (seen, held_out), objective, "parts", noise, partial(_finished, network, part, held_out)
    )


def normal(name: str, network: Autoencoder, schema: Schema, records: Records) -> Records:
    """Return the rows that are learnt: of a detector of anomalies those of normal classes.

    Raises:
        ParamsError: a class is not among the data's, all of them are normal, or none of their rows are there.
    """
    if not isinstance(network.purpose, Detect) or not network.purpose.normal:
        return records
    for each in network.purpose.normal:
        if each not in schema.classes:
            raise ParamsError(
                f"models.{name}.network.purpose.normal must name classes of the dataset, {', '.join(schema.classes)},"
                f" but holds {each!r}; mend it"
            )
    if set(network.purpose.normal) == set(schema.classes):
        raise ParamsError(
            f"models.{name}.network.purpose.normal must leave a class to be an anomaly, but lists all of"
            f" {', '.join(schema.classes)}; take one out, or leave `normal` out"
        )
    kept = np.isin(np.asarray(records.y), [schema.classes.index(each) for each in network.purpose.normal])
    if not kept.any():
        raise ParamsError(
            f"models.{name}.network.purpose.normal must leave training and validation rows, but leaves none; name more"
            " classes"
        )
    return records.take(np.flatnonzero(kept))


@torch.no_grad()
def _finished(network: Autoencoder, part: nn.Module, held_out: Tensor, judged: nn.Module) -> nn.Module:
    """Return the last part, of a detector of anomalies with the threshold that validation rows suggest."""
    if isinstance(network.purpose, Detect):
        errors = [judged.eval().errors(rows) for rows in torch.split(held_out, VALIDATION_ROWS)]  # type: ignore[operator]
        part.get_buffer("threshold").copy_(torch.cat(errors).float().quantile(network.purpose.quantile))
    return part


def _laid_out(x: Array, schema: Schema, device: torch.device) -> Tensor:
    """Return features on the device; of windows one row."""
    if schema.task == "language":
        return torch.from_numpy(joined(x)).to(device).unfold(0, x.shape[1], 1)  # (n + t - 1,) seen as (n, t)
    return laid_out(x, device)


def laid_out(x: Array, device: torch.device) -> Tensor:
    """Return features on the device: images with channels last, as convolutions are fastest."""
    features = torch.from_numpy(np.require(x, requirements="W"))  # a file's memory is copied
    return (features.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else features).to(device)


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
