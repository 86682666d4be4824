"""What a network is to learn of its rows: the targets that they have, or the rows themselves.

Shapes: n rows, k outputs.

Targets as a network learns them, and how much each class counts.

Shapes: n rows, k values.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from ..config.models import Model
from ..config.networks.autoencoder import AnomalyMode, Autoencoder, DenoisingVariant
from ..config.training import BCELoss, QuantileLoss, Training
from ..data.baselines import join_windows, naive_indices
from ..data.dataset import Array, Dataset, Split
from ..data.schema import Schema
from ..data.targets import target_specs
from ..errors import ParamsError
from ..models.autoencoder.loss import AutoencoderLoss
from ..models.autoencoder.noise import Noise
from ..models.lightning import VALIDATION_BATCH_SIZE, NetworkMethod
from ..models.losses import Loss, build_loss
from ..models.serialization import build_head, build_input_spec, build_supervised_head
from ..preprocessing.pipeline import Pipeline
from .augmentation.augmenter import Augmenter


@dataclass(frozen=True)
class TargetScaler:
    """Fitted to training rows: values are learnt with mean 0 and deviation 1, classes by their index.

    shift, scale: (k,), mean and deviation of what is learnt; further targets stand behind, classes with 0 and 1.
    """

    schema: Schema
    shift: Array
    scale: Array

    @classmethod
    def fit(cls, schema: Schema, train: Split) -> "TargetScaler":
        """Learn mean and deviation from training rows, those of a further target from the rows that have it."""
        each = [_mean_and_std(goal.schema, goal.select(train)) for goal in target_specs(schema)]
        shift, scale = (np.concatenate(arrays) for arrays in zip(*each, strict=True))
        return cls(schema, shift, scale)

    def __call__(self, split: Split) -> Tensor:
        """Return class indices (n,) int64, or values (n, k) float32.

        With m further targets: (n, k + m) float32, where classes are indices, and NaN is missing.
        """
        if split.extra_targets is None:
            if self.schema.classes:
                return torch.from_numpy(split.y.astype(np.int64))
            values = _difference_targets(self.schema, split)
        else:
            leading = split.y[:, None] if self.schema.classes else _difference_targets(self.schema, split)
            values = np.column_stack([leading, split.extra_targets])
        return torch.from_numpy(((values - self.shift) / self.scale).astype(np.float32))


def _mean_and_std(schema: Schema, train: Split) -> tuple[Array, Array]:
    """Return mean and deviation of what is learnt of one target."""
    if schema.classes:
        return np.zeros(1), np.ones(1)
    values = _difference_targets(schema, train)
    deviation = values.std(axis=0)
    return values.mean(axis=0), np.where(deviation == 0, 1.0, deviation)


def _difference_targets(schema: Schema, split: Split) -> Array:
    """Return values, or their logarithms, as differences from the schema's base."""
    values = split.y.reshape(len(split), -1)
    values = np.log(values) if schema.log_target else values
    if schema.difference == "none":
        return values
    before = split.x.reshape(len(split), -1)[:, naive_indices(schema, schema.difference)]
    return np.asarray(values - (np.log(before) if schema.log_target else before))


def class_weights(schema: Schema, y: Array) -> Tensor:
    """Return what a row of each class counts so that all classes count alike, the mean over rows 1; (classes,)."""
    counts = np.bincount(y, minlength=len(schema.classes))
    present = np.maximum(counts, 1)
    return torch.from_numpy((len(y) / (np.count_nonzero(counts) * present)).astype(np.float32))


TensorPair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class LearningTask:
    """Rows on their device, and how what a network tells of them is judged.

    schema: of the data as this training has it told.
    train, held_out: features (n, ...) and what is to be told of them.
    how: which method of the network is trained.
    augment: changes a training batch.
    output: the trained network -> the last part of its model.
    """

    schema: Schema
    train: TensorPair
    validation: TensorPair
    criterion: Loss
    method: NetworkMethod
    augment: nn.Module | None
    head_factory: Callable[[nn.Module], nn.Module]


def training_schema(schema: Schema, training: Training) -> Schema:
    """Return the schema of a model so trained: what it tells may be quantiles, or differences."""
    levels = training.loss.quantiles if isinstance(training.loss, QuantileLoss) else ()
    return schema.model_copy(update={"quantiles": levels, "difference": training.difference})


def build_learning_task(
    name: str,
    params: Model,
    dataset: Dataset,
    schema: Schema,
    pipeline: Pipeline,
    network: nn.Module,
    seed: int,
    device: torch.device,
) -> LearningTask:
    """Return what `network` is to learn, its rows laid on `device`.

    schema: of the dataset, as this training has it told.

    Raises:
        ParamsError: the loss does not fit the data.
    """
    if isinstance(params.network, Autoencoder):
        return _build_autoencoder_task(name, params, params.network, dataset, schema, pipeline, seed, device)
    return _build_supervised_task(name, params, dataset, schema, pipeline, network, device)


def _build_supervised_task(
    name: str,
    params: Model,
    dataset: Dataset,
    schema: Schema,
    pipeline: Pipeline,
    network: nn.Module,
    device: torch.device,
) -> LearningTask:
    training = params.training
    if isinstance(training.loss, BCELoss) and len(schema.classes) != 2:
        raise ParamsError(
            f"models.{name}.training.loss: bce is of two classes, but {params.dataset} has {len(schema.classes)};"
            " choose cross_entropy"
        )
    targets = TargetScaler.fit(schema, dataset.train)
    train, held_out = (
        (_features_to_device(pipeline(records.x), schema, device), targets(records).to(device))
        for records in (dataset.train, dataset.validation)
    )
    weights = class_weights(schema, dataset.train.y) if training.class_balance == "weighted_loss" else None
    language = schema.task == "language_modeling" and hasattr(network, "forward_all_steps")
    return LearningTask(
        schema,
        train,
        held_out,
        build_loss(schema, training.loss, training.loss_weights, weights),
        "forward_all_steps" if language else "forward",
        _build_augmenter(name, training, schema, pipeline),
        lambda _: build_supervised_head(schema, training.loss, targets.shift, targets.scale),
    )


def _build_autoencoder_task(
    name: str,
    params: Model,
    network: Autoencoder,
    dataset: Dataset,
    schema: Schema,
    pipeline: Pipeline,
    seed: int,
    device: torch.device,
) -> LearningTask:
    """Rows are told by themselves; of a detector of anomalies those of normal classes."""
    train, held_out = (
        _features_to_device(pipeline(normal_samples(name, network, schema, records).x), schema, device)
        for records in (dataset.train, dataset.validation)
    )
    shape = build_input_spec(schema, pipeline, params.training.loss)
    objective = AutoencoderLoss(network, params.training.loss, shape)
    noise, seen = None, held_out
    if isinstance(network.variant, DenoisingVariant):
        features = train[..., :-1] if shape.has_mask else train
        noise = Noise(network.variant, has_mask=shape.has_mask, low=float(features.min()), high=float(features.max()))
        seen = noise.corrupt(held_out, torch.Generator(device).manual_seed(seed))  # the same in every epoch
    part = build_head(network, schema, pipeline, params.training.loss)  # refused here, if at all: before training
    return LearningTask(
        schema,
        (train, train),
        (seen, held_out),
        objective,
        "training_outputs",
        noise,
        partial(_calibrate_head, network, part, held_out),
    )


def normal_samples(name: str, network: Autoencoder, schema: Schema, split: Split) -> Split:
    """Return the rows that are learnt: of a detector of anomalies those of normal classes.

    Raises:
        ParamsError: a class is not among the data's, all of them are normal, or none of their rows are there.
    """
    if not isinstance(network.mode, AnomalyMode) or not network.mode.normal_classes:
        return split
    for each in network.mode.normal_classes:
        if each not in schema.classes:
            raise ParamsError(
                f"models.{name}.network.mode.normal_classes must name classes of the dataset, {', '.join(schema.classes)},"
                f" but holds {each!r}; mend it"
            )
    if set(network.mode.normal_classes) == set(schema.classes):
        raise ParamsError(
            f"models.{name}.network.mode.normal_classes must leave a class to be an anomaly, but lists all of"
            f" {', '.join(schema.classes)}; take one out, or leave `normal` out"
        )
    kept = np.isin(np.asarray(split.y), [schema.classes.index(each) for each in network.mode.normal_classes])
    if not kept.any():
        raise ParamsError(
            f"models.{name}.network.mode.normal_classes must leave training and validation rows, but leaves none; name more"
            " classes"
        )
    return split.take(np.flatnonzero(kept))


@torch.no_grad()
def _calibrate_head(network: Autoencoder, head: nn.Module, validation: Tensor, eval_network: nn.Module) -> nn.Module:
    """Return the last part, of a detector of anomalies with the threshold that validation rows suggest."""
    if isinstance(network.mode, AnomalyMode):
        errors = [eval_network.eval().errors(rows) for rows in torch.split(validation, VALIDATION_BATCH_SIZE)]  # type: ignore[operator]
        head.get_buffer("threshold").copy_(torch.cat(errors).float().quantile(network.mode.quantile))
    return head


def _features_to_device(x: Array, schema: Schema, device: torch.device) -> Tensor:
    """Return features on the device; of windows one row."""
    if schema.task == "language_modeling":
        return torch.from_numpy(join_windows(x)).to(device).unfold(0, x.shape[1], 1)  # (n + t - 1,) seen as (n, t)
    return to_device(x, device)


def to_device(x: Array, device: torch.device) -> Tensor:
    """Return features on the device: images with channels last, as convolutions are fastest."""
    features = torch.from_numpy(np.require(x, requirements="W"))  # a file's memory is copied
    return (features.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else features).to(device)


def _build_augmenter(name: str, training: Training, schema: Schema, pipeline: Pipeline) -> Augmenter | None:
    if not training.augment.is_active:
        return None
    blank = None
    if schema.kind == "images":
        side = min(schema.shape[1:])
        if training.augment.crop_padding >= side:
            raise ParamsError(
                f"models.{name}.training.augment.crop_padding must be below the shorter side of an image, {side} pixels, but is"
                f" {training.augment.crop_padding}; lower it"
            )
        pixel = np.full((1, *schema.shape), round(training.augment.fill_value), np.uint8)
        blank = torch.from_numpy(pipeline(pixel)[0, :, :1, :1])
    masked = any(step.kind == "mask" for step in pipeline.steps)
    return Augmenter(training.augment, classes=len(schema.classes), masked=masked, fill_value=blank)
