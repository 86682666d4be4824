"""Build the training setups of GANs and of CycleGANs: module, data loaders, generator validation and head.

Shapes: n rows or images, k classes (0 without conditioning), r the shape of a sample's features, d feature space,
c channels, y x x pixels.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config.models import Model
from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from ..config.training import Training
from ..data.dataset import Array, Dataset, Split
from ..errors import ParamsError
from ..models.cyclegan.head import TranslationHead
from ..models.cyclegan.module import Module as CycleGANModule
from ..models.cyclegan.network import CycleganNetwork
from ..models.cyclegan.validation import GeneratorValidation as TranslationValidation
from ..models.feature_extractor import ReferenceClassifier, build_embedding_fn
from ..models.gan.head import TabularHead
from ..models.gan.module import Module as GANModule
from ..models.gan.network import GanNetwork
from ..models.gan.validation import MAX_ROWS, GeneratorValidation, sample_noise
from ..models.serialization import build_head
from ..preprocessing.pipeline import Pipeline
from .batches import OrderFn, TensorBatchLoader, shuffled_order, unpaired_order, weighted_order
from .objectives import class_weights, to_device
from .optimization import OptimizerStep
from .previews import SamplePreview, compute_pixel_range, render_samples, sample_fixed_noise
from .supervised import EpochSeed, TrainingSetup, import_family, init_network, prefix_params_error


def build_adversarial_setup(
    name: str,
    params: Model,
    dataset: Dataset,
    pipeline: Pipeline,
    reference: ReferenceClassifier | None,
    epoch_seed: EpochSeed,
    *,
    device: torch.device,
    rank: int = 0,
    world_size: int = 1,
) -> TrainingSetup:
    """Return the setup of GAN `name`, untrained, with its rows on `device`.

    reference: a classifier in whose feature space samples are compared; None: they are compared by their features.
    rank, world_size: index of this process, and number of processes that share each batch.

    Raises:
        ParamsError: the network does not fit the data, the preprocessing cannot be inverted, or there are too few rows.
    """
    training, schema = params.training, dataset.schema
    network = cast(Gan, params.network)
    built = init_network(name, params, schema, pipeline, epoch_seed.seed)
    head = build_head(network, schema, pipeline, training.loss)
    n_classes = len(schema.classes) if network.is_conditional else 0
    x, x_validation = (
        to_device(features, device) for features in _generator_features(pipeline, dataset, head, epoch_seed.seed)
    )
    c, c_validation = (_one_hot_classes(split, n_classes).to(device) for split in (dataset.train, dataset.validation))
    for split_name, rows, minimum in (("training", x, max(2, network.pac)), ("validation", x_validation, 2)):
        if len(rows) < minimum:
            raise ParamsError(
                f"models.{name}: a GAN needs at least {minimum} {split_name} rows, but {params.dataset} has"
                f" {len(rows)}; change its split"
            )
    head.to(device)
    import_family(network.family)
    noise = torch.Generator().manual_seed(epoch_seed.seed)
    z = sample_noise(MAX_ROWS, network.latent_dim, c_validation, noise).to(device)
    size = training.batch_size
    n_samples = len(x) // network.pac * network.pac if len(x) < size else len(x) // size * size
    order = shuffled_order(len(x), *epoch_seed)
    if training.class_balance == "weighted_sampler":
        order = weighted_order(class_weights(schema, dataset.train.y)[np.array(dataset.train.y)], *epoch_seed)
    train_loader = TensorBatchLoader(
        x,
        c,
        size,
        order=_drop_incomplete_batches(order, n_samples),
        n_samples=n_samples,
        rank=rank,
        world_size=world_size,
    )
    module = GANModule(
        cast(GanNetwork, built.to(memory_format=torch.channels_last)),
        network,
        tuple(
            partial(OptimizerStep, params=each, steps_per_epoch=train_loader.steps_per_epoch, world_size=world_size)
            for each in (training, discriminator_training(training, network.discriminator_lr_factor))
        ),
        GeneratorValidation(build_feature_fn(reference, lambda x: head(x, x), device), x_validation, z),
        steps_per_epoch=train_loader.steps_per_epoch,
        max_epochs=training.max_epochs,
        use_ema=training.ema_decay > 0,
        precision=training.precision,
    )
    preview = None
    if schema.kind == "images":
        fixed_z = sample_fixed_noise(network.latent_dim, n_classes, epoch_seed.seed).to(device)
        pixel_range = compute_pixel_range(dataset)
        preview = SamplePreview(
            lambda: render_samples(module.eval_generator, module.eval_generator, head, fixed_z, pixel_range),
            network.validate_every,
        )
    # Lightning needs a validation batch, but GeneratorValidation has its own rows
    validation_loader = TensorBatchLoader(x_validation[:1], c_validation[:1], 1)
    return TrainingSetup(schema, module, train_loader, validation_loader, lambda _: head, preview=preview)


def _generator_features(pipeline: Pipeline, dataset: Dataset, head: nn.Module, seed: int) -> tuple[Array, Array]:
    """Return features of training and of validation rows, (n, *r); those of a table as normal scores, fitted here."""
    train, validation = pipeline(dataset.train.x), pipeline(dataset.validation.x)
    if not isinstance(head, TabularHead):
        return train, validation
    rng, normal_scores = np.random.default_rng(seed), head.normal_scores
    return normal_scores.fit_transform(train, rng), normal_scores.transform(validation, train, rng)


def _one_hot_classes(split: Split, n_classes: int) -> Tensor:
    """Return the classes of the rows, one-hot encoded, (n, k)."""
    return (
        functional.one_hot(torch.from_numpy(np.array(split.y)), n_classes).float()
        if n_classes
        else torch.zeros(len(split), 0)
    )


def _drop_incomplete_batches(order: OrderFn, n: int) -> OrderFn:
    """Return an order of n rows without the last, incomplete batch, whose batch statistics would be of few rows."""
    return lambda: order()[:n]


def discriminator_training(training: Training, lr_factor: float) -> Training:
    """Return the training parameters of the discriminator: those of the generator with another learning rate."""
    params = training.model_dump(mode="json")
    params["optimizer"]["lr"] *= lr_factor
    return Training.model_validate_json(json.dumps(params))


def build_feature_fn(
    reference: ReferenceClassifier | None, inverse: Callable[[Tensor], Tensor], device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Return the function from features (b, *r) to the feature space (b, d) in which samples are compared.

    reference: the classifier whose last hidden layer is the feature space; None: the features themselves.
    inverse: features -> raw records.
    """
    if reference is None:
        return lambda x: x
    reference.trained_model.model.to(device)
    embed, width = build_embedding_fn(reference.trained_model), reference.trained_model.schema.shape[0]
    return lambda x: embed(inverse(x)[:, :width])  # rows of a table without the generated targets


HALF_PIXEL_RANGE = 127.5
"""Half of the range of pixel values; losses are scaled so that it has size 1."""


def build_translation_setup(
    name: str,
    params: Model,
    dataset: Dataset,
    pipeline: Pipeline,
    reference: ReferenceClassifier | None,
    epoch_seed: EpochSeed,
    *,
    device: torch.device,
    rank: int = 0,
    world_size: int = 1,
) -> TrainingSetup:
    """Return the setup of CycleGAN `name`, untrained, with its rows on `device`.

    An epoch has each image of the larger class once, and as many of the other class.

    reference: a classifier in whose feature space images are compared; None: they are compared by their pixels.
    rank, world_size: index of this process, and number of processes that share each batch.

    Raises:
        ParamsError: the network does not fit the data, the preprocessing cannot be inverted, or there are too few rows.
    """
    training, schema = params.training, dataset.schema
    network = cast(Cyclegan, params.network)
    built = init_network(name, params, schema, pipeline, epoch_seed.seed)
    with prefix_params_error(name):
        head = cast(TranslationHead, build_head(network, schema, pipeline, training.loss)).to(device)
    _check_class_sizes(name, params.dataset, dataset)
    (images_a, images_b), validation = (
        _split_by_class(to_device(pipeline(split.x), device), split.y) for split in (dataset.train, dataset.validation)
    )
    train_loader = TensorBatchLoader(
        images_a,
        images_b,
        training.batch_size,
        order=unpaired_order(len(images_a), len(images_b), *epoch_seed),
        n_samples=max(len(images_a), len(images_b)),
        rank=rank,
        world_size=world_size,
    )
    import_family(network.family)
    module = CycleGANModule(
        cast(CycleganNetwork, built.to(memory_format=torch.channels_last)),
        network,
        tuple(
            partial(OptimizerStep, params=each, steps_per_epoch=train_loader.steps_per_epoch, world_size=world_size)
            for each in (training, *[discriminator_training(training, network.discriminator_lr_factor)] * 2)
        ),
        TranslationValidation(build_feature_fn(reference, head.inverse, device), head.inverse, validation),
        head.inverse.feature_units() / HALF_PIXEL_RANGE,
        steps_per_epoch=train_loader.steps_per_epoch,
        max_epochs=training.max_epochs,
        use_ema=training.ema_decay > 0,
        precision=training.precision,
    )
    # Lightning needs a validation batch, but TranslationValidation has its own images
    image = validation[0][:1]
    return TrainingSetup(schema, module, train_loader, TensorBatchLoader(image, image, 1), lambda _: head)


def _check_class_sizes(name: str, dataset_name: str, dataset: Dataset) -> None:
    """Raise a `ParamsError` if a class has less than two rows in a split, since distances need two.

    An empty test split, as in studies, is allowed.
    """
    for split_name, split in dataset.splits().items():
        if split_name == "test" and not len(split):
            continue
        for i, label in enumerate(dataset.schema.classes):
            if (count := int((np.asarray(split.y) == i).sum())) < 2:
                raise ParamsError(
                    f"models.{name}: a CycleGAN needs at least 2 {split_name} rows of each class, but {dataset_name}"
                    f" has {count} of {label}; change its split"
                )


def _split_by_class(x: Tensor, y: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return the images of each class, (n, c, y, x)."""
    images_a, images_b = (x[torch.from_numpy(np.flatnonzero(np.asarray(y) == i)).to(x.device)] for i in range(2))
    return images_a, images_b
