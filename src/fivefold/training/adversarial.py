"""A generator and its critic, ready to be trained against each other.

Shapes: n rows, k classes (0: none are asked for), r what a record is, d numbers seen in it.

Two generators and their critics, ready to be trained against each other.

Shapes: n images, c channels, y x x pixels.
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
    """Build both players of model `name` untrained, and lay its rows on `device`, which is number `part` of `parts`.

    judge: a classifier, by which records are compared; None: by their features.

    Raises:
        ParamsError: the network does not fit the data, the preprocessing cannot be undone, or rows are too few.
    """
    training, schema = params.training, dataset.schema
    network = cast(Gan, params.network)
    built = init_network(name, params, schema, pipeline, epoch_seed.seed)
    output = build_head(network, schema, pipeline, training.loss)
    k = len(schema.classes) if network.is_conditional else 0
    x, held_out = (
        to_device(features, device) for features in _generator_features(pipeline, dataset, output, epoch_seed.seed)
    )
    c, held_c = (_one_hot_classes(records, k).to(device) for records in (dataset.train, dataset.validation))
    for which, rows, least in (("training", x, max(2, network.pac)), ("validation", held_out, 2)):
        if len(rows) < least:
            raise ParamsError(
                f"models.{name}: a generator's records are compared with {which} rows, {least} at least, but"
                f" {params.dataset} has {len(rows)}; change its split"
            )
    output.to(device)
    import_family(network.family)
    z = sample_noise(MAX_ROWS, network.latent_dim, held_c, torch.Generator().manual_seed(epoch_seed.seed)).to(device)
    size = training.batch_size
    n = len(x) // network.pac * network.pac if len(x) < size else len(x) // size * size
    order = shuffled_order(len(x), *epoch_seed)
    if training.class_balance == "weighted_sampler":
        order = weighted_order(class_weights(schema, dataset.train.y)[np.array(dataset.train.y)], *epoch_seed)
    batches = TensorBatchLoader(
        x, c, size, order=_drop_incomplete_batches(order, n), n_samples=n, rank=rank, world_size=world_size
    )
    module = GANModule(
        cast(GanNetwork, built.to(memory_format=torch.channels_last)),
        network,
        tuple(
            partial(OptimizerStep, params=each, steps_per_epoch=batches.steps_per_epoch, world_size=world_size)
            for each in (training, discriminator_training(training, network.discriminator_lr_factor))
        ),
        GeneratorValidation(build_feature_fn(reference, lambda x: output(x, x), device), held_out, z),
        steps_per_epoch=batches.steps_per_epoch,
        max_epochs=training.max_epochs,
        use_ema=training.ema_decay > 0,
        precision=training.precision,
    )
    showing = None
    if schema.kind == "images":
        seen, bounds = (
            sample_fixed_noise(network.latent_dim, k, epoch_seed.seed).to(device),
            compute_pixel_range(dataset),
        )
        showing = SamplePreview(
            lambda: render_samples(module.eval_generator, module.eval_generator, output, seen, bounds),
            network.validate_every,
        )
    one = TensorBatchLoader(held_out[:1], held_c[:1], 1)
    return TrainingSetup(schema, module, batches, one, lambda _: output, preview=showing)


def _generator_features(pipeline: Pipeline, dataset: Dataset, output: nn.Module, seed: int) -> tuple[Array, Array]:
    """Return features of training and of validation rows, (n, *r): of a table their scores, which `output` learns."""
    train, held_out = pipeline(dataset.train.x), pipeline(dataset.validation.x)
    if not isinstance(output, TabularHead):
        return train, held_out
    rng, scores = np.random.default_rng(seed), output.normal_scores
    return scores.fit_transform(train, rng), scores.transform(held_out, train, rng)


def _one_hot_classes(split: Split, n_classes: int) -> Tensor:
    """Return one 1 among zeros for the class of each row, (n, k)."""
    return (
        functional.one_hot(torch.from_numpy(np.array(split.y)), n_classes).float()
        if n_classes
        else torch.zeros(len(split), 0)
    )


def _drop_incomplete_batches(order: OrderFn, n: int) -> OrderFn:
    """Return an order without the rows that do not fill a batch: its norms would be of few, or of one."""
    return lambda: order()[:n]


def discriminator_training(training: Training, lr_factor: float) -> Training:
    """Return how the critic is trained: as the generator is, but for its learning rate."""
    tree = training.model_dump(mode="json")
    tree["optimizer"]["lr"] *= lr_factor
    return Training.model_validate_json(json.dumps(tree))


def build_feature_fn(
    reference: ReferenceClassifier | None, inverse: Callable[[Tensor], Tensor], device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Return what gives, of features (b, *r), what records are compared by, (b, d); undo: features -> raw records."""
    if reference is None:
        return lambda x: x
    reference.trained_model.model.to(device)
    features, width = build_embedding_fn(reference.trained_model), reference.trained_model.schema.shape[0]
    return lambda x: features(inverse(x)[:, :width])  # of a table without the targets


HALF_PIXEL_RANGE = 127.5
"""Half the range of pixels, which is 1 to the losses."""


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
    """Build all players of model `name` untrained, and lay its rows on `device`, which is number `part` of `parts`.

    An epoch shows each image of the larger class once, and of the other one as many.

    judge: a classifier, by which images are compared; None: by their pixels.

    Raises:
        ParamsError: the network does not fit the data, the preprocessing cannot be undone, or rows are too few.
    """
    training, schema = params.training, dataset.schema
    network = cast(Cyclegan, params.network)
    built = init_network(name, params, schema, pipeline, epoch_seed.seed)
    with prefix_params_error(name):
        output = cast(TranslationHead, build_head(network, schema, pipeline, training.loss)).to(device)
    _check_class_sizes(name, params.dataset, dataset)
    rows, held_out = (
        _split_by_class(to_device(pipeline(records.x), device), records.y)
        for records in (dataset.train, dataset.validation)
    )
    first, second = rows
    order = unpaired_order(len(first), len(second), *epoch_seed)
    batches = TensorBatchLoader(
        first,
        second,
        training.batch_size,
        order=order,
        n_samples=max(len(first), len(second)),
        rank=rank,
        world_size=world_size,
    )
    import_family(network.family)
    raw = output.inverse
    module = CycleGANModule(
        cast(CycleganNetwork, built.to(memory_format=torch.channels_last)),
        network,
        tuple(
            partial(OptimizerStep, params=each, steps_per_epoch=batches.steps_per_epoch, world_size=world_size)
            for each in (training, *[discriminator_training(training, network.discriminator_lr_factor)] * 2)
        ),
        TranslationValidation(build_feature_fn(reference, raw, device), raw, held_out),
        raw.feature_units() / HALF_PIXEL_RANGE,
        steps_per_epoch=batches.steps_per_epoch,
        max_epochs=training.max_epochs,
        use_ema=training.ema_decay > 0,
        precision=training.precision,
    )
    one = held_out[0][:1]
    return TrainingSetup(schema, module, batches, TensorBatchLoader(one, one, 1), lambda _: output)


def _check_class_sizes(name: str, dataset_name: str, dataset: Dataset) -> None:
    """Raise a `ParamsError` if a class has less than two rows in a set: a distance takes two. Studies test nothing."""
    for which, records in dataset.splits().items():
        if which == "test" and not len(records):
            continue
        for i, label in enumerate(dataset.schema.classes):
            if (count := int((np.asarray(records.y) == i).sum())) < 2:
                raise ParamsError(
                    f"models.{name}: translated images are compared with {which} rows of either class, two at least,"
                    f" but {dataset_name} has {count} of {label}; change its split"
                )


def _split_by_class(x: Tensor, y: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return the rows of each class, (n, c, y, x)."""
    first, second = (x[torch.from_numpy(np.flatnonzero(np.asarray(y) == i)).to(x.device)] for i in range(2))
    return first, second
