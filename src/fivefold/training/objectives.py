"""Build the learning task of a network: scaled targets or reconstruction, loss, augmentation and head.

Shapes: n rows, k values or outputs.
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
    """Standardize target values with mean and standard deviation of the training rows; encode classes as indices.

    shift, scale: (k,), mean and standard deviation; extra targets follow the primary target, classes have 0 and 1.
    """

    schema: Schema
    shift: Array
    scale: Array

    @classmethod
    def fit(cls, schema: Schema, train: Split) -> "TargetScaler":
        """Fit the scaler to training rows; for an extra target to the rows in which it is not missing."""
        statistics = [_mean_and_std(spec.schema, spec.select(train)) for spec in target_specs(schema)]
        shift, scale = (np.concatenate(arrays) for arrays in zip(*statistics, strict=True))
        return cls(schema, shift, scale)

    def __call__(self, split: Split) -> Tensor:
        """Return class indices (n,) int64, or standardized values (n, k) float32.

        With m extra targets: (n, k + m) float32, in which classes are indices and NaN is a missing value.
        """
        if split.extra_targets is None:
            if self.schema.classes:
                return torch.from_numpy(split.y.astype(np.int64))
            values = _difference_targets(self.schema, split)
        else:
            primary = split.y[:, None] if self.schema.classes else _difference_targets(self.schema, split)
            values = np.column_stack([primary, split.extra_targets])
        return torch.from_numpy(((values - self.shift) / self.scale).astype(np.float32))


def _mean_and_std(schema: Schema, train: Split) -> tuple[Array, Array]:
    """Return mean and standard deviation of one target, (k,) each; 0 and 1 of a class or of a constant value."""
    if schema.classes:
        return np.zeros(1), np.ones(1)
    values = _difference_targets(schema, train)
    std = values.std(axis=0)
    return values.mean(axis=0), np.where(std == 0, 1.0, std)


def _difference_targets(schema: Schema, split: Split) -> Array:
    """Return target values, or their logarithms, (n, k), minus the naive forecast if the schema has a difference."""
    values = split.y.reshape(len(split), -1)
    values = np.log(values) if schema.log_target else values
    if schema.difference == "none":
        return values
    naive = split.x.reshape(len(split), -1)[:, naive_indices(schema, schema.difference)]
    return np.asarray(values - (np.log(naive) if schema.log_target else naive))


def class_weights(schema: Schema, y: Array) -> Tensor:
    """Return the weight of each class, (classes,), that balances the classes, with mean 1 over the rows.

    Classes without rows are ignored; otherwise as `sklearn.utils.class_weight.compute_class_weight("balanced")`.
    """
    counts = np.bincount(y, minlength=len(schema.classes))
    present = np.maximum(counts, 1)
    return torch.from_numpy((len(y) / (np.count_nonzero(counts) * present)).astype(np.float32))


TensorPair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class LearningTask:
    """Training and validation rows on their device, and the loss of a network on them.

    schema: of the dataset, with the quantiles and the differencing of this training.
    train, validation: features (n, ...) and targets.
    criterion: the loss of outputs and targets.
    method: the method of the network that training calls.
    augment: changes a training batch; None: batches are used unchanged.
    head_factory: called with the trained network; returns the head of its model.
    """

    schema: Schema
    train: TensorPair
    validation: TensorPair
    criterion: Loss
    method: NetworkMethod
    augment: nn.Module | None
    head_factory: Callable[[nn.Module], nn.Module]


def training_schema(schema: Schema, training: Training) -> Schema:
    """Return the schema with the quantiles that the loss predicts and the differencing of the targets."""
    quantiles = training.loss.quantiles if isinstance(training.loss, QuantileLoss) else ()
    return schema.model_copy(update={"quantiles": quantiles, "difference": training.difference})


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
    """Return the learning task of `network`, with its rows on `device`.

    schema: the result of `training_schema`.

    Raises:
        ParamsError: the loss, the augmentation or the normal classes do not fit the data.
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
            f"models.{name}.training.loss: bce needs two classes, but {params.dataset} has {len(schema.classes)};"
            " choose cross_entropy"
        )
    scaler = TargetScaler.fit(schema, dataset.train)
    train, validation = (
        (_features_to_device(pipeline(split.x), schema, device), scaler(split).to(device))
        for split in (dataset.train, dataset.validation)
    )
    weights = class_weights(schema, dataset.train.y) if training.class_balance == "weighted_loss" else None
    trains_all_steps = schema.task == "language_modeling" and hasattr(network, "forward_all_steps")
    return LearningTask(
        schema,
        train,
        validation,
        build_loss(schema, training.loss, training.loss_weights, weights),
        "forward_all_steps" if trains_all_steps else "forward",
        _build_augmenter(name, training, schema, pipeline),
        lambda _: build_supervised_head(schema, training.loss, scaler.shift, scaler.scale),
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
    """Return the task of reconstructing rows; of an anomaly detector only rows of normal classes."""
    train, validation = (
        _features_to_device(pipeline(normal_samples(name, network, schema, split).x), schema, device)
        for split in (dataset.train, dataset.validation)
    )
    spec = build_input_spec(schema, pipeline, params.training.loss)
    noise, validation_input = None, validation
    if isinstance(network.variant, DenoisingVariant):
        features = train[..., :-1] if spec.has_mask else train
        noise = Noise(network.variant, has_mask=spec.has_mask, low=float(features.min()), high=float(features.max()))
        # the same noise in every epoch, so that validation losses are comparable
        validation_input = noise.corrupt(validation, torch.Generator(device).manual_seed(seed))
    head = build_head(network, schema, pipeline, params.training.loss)  # raises its errors before training
    return LearningTask(
        schema,
        (train, train),
        (validation_input, validation),
        AutoencoderLoss(network, params.training.loss, spec),
        "training_outputs",
        noise,
        partial(_calibrate_head, network, head, validation),
    )


def normal_samples(name: str, network: Autoencoder, schema: Schema, split: Split) -> Split:
    """Return the rows that an autoencoder is trained with: of an anomaly detector those of normal classes.

    Raises:
        ParamsError: a normal class is not in the dataset, all classes are normal, or no rows of normal classes remain.
    """
    if not isinstance(network.mode, AnomalyMode) or not network.mode.normal_classes:
        return split
    key, normal_classes = f"models.{name}.network.mode.normal_classes", network.mode.normal_classes
    for label in normal_classes:
        if label not in schema.classes:
            raise ParamsError(
                f"{key} must list classes of the dataset, {', '.join(schema.classes)}, but contains {label!r};"
                " remove it"
            )
    if set(normal_classes) == set(schema.classes):
        raise ParamsError(
            f"{key} must leave out at least one class as anomalous, but lists all of {', '.join(schema.classes)};"
            " remove one, or remove the key"
        )
    is_normal = np.isin(np.asarray(split.y), [schema.classes.index(label) for label in normal_classes])
    if not is_normal.any():
        raise ParamsError(
            f"{key} must select training and validation rows, but {', '.join(normal_classes)} has none; add classes"
        )
    return split.take(np.flatnonzero(is_normal))


@torch.no_grad()
def _calibrate_head(network: Autoencoder, head: nn.Module, validation: Tensor, eval_network: nn.Module) -> nn.Module:
    """Return the head; for an anomaly detector with a quantile of the validation errors as threshold."""
    if isinstance(network.mode, AnomalyMode):
        errors = [
            eval_network.eval().reconstruction_errors(rows)  # type: ignore[operator]
            for rows in torch.split(validation, VALIDATION_BATCH_SIZE)
        ]
        head.get_buffer("threshold").copy_(torch.cat(errors).float().quantile(network.mode.quantile))
    return head


def _features_to_device(x: Array, schema: Schema, device: torch.device) -> Tensor:
    """Return features on the device; the windows of a text share the memory of the text."""
    if schema.task == "language_modeling":
        return torch.from_numpy(join_windows(x)).to(device).unfold(0, x.shape[1], 1)  # (n + t - 1,) -> view (n, t)
    return to_device(x, device)


def to_device(x: Array, device: torch.device) -> Tensor:
    """Return features on the device; images in channels-last memory format, in which convolutions are fastest."""
    features = torch.from_numpy(np.require(x, requirements="W"))  # copies a read-only memory map
    return (features.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else features).to(device)


def _build_augmenter(name: str, training: Training, schema: Schema, pipeline: Pipeline) -> Augmenter | None:
    if not training.augment.is_active:
        return None
    fill_value = None
    if schema.kind == "images":
        side = min(schema.shape[1:])
        if training.augment.crop_padding >= side:
            raise ParamsError(
                f"models.{name}.training.augment.crop_padding must be less than the shorter side of an image,"
                f" {side} pixels, but is {training.augment.crop_padding}; lower it"
            )
        image = np.full((1, *schema.shape), round(training.augment.fill_value), np.uint8)
        fill_value = torch.from_numpy(pipeline(image)[0, :, :1, :1])
    masked = any(step.kind == "mask" for step in pipeline.steps)
    return Augmenter(training.augment, classes=len(schema.classes), masked=masked, fill_value=fill_value)
