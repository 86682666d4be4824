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
from typing import NamedTuple

import torch
from torch import nn

from ..config.datasets import DatasetConfig as DatasetParams
from ..config.models import Model
from ..config.networks.gan import Gan
from ..config.training import Training
from ..data.dataset import Dataset
from ..data.schema import Schema
from ..errors import ParamsError
from ..models.factory import build_network
from ..models.lightning import VALIDATION_BATCH_SIZE, BaseModule, SupervisedModule
from ..models.precision import set_num_threads
from ..models.serialization import build_input_spec
from ..models.transfer import LayerGroup, PretrainedModel, load_matching_weights
from ..preprocessing.pipeline import Pipeline
from .batches import OrderFn, TensorBatchLoader, shuffled_order, strided_windows, weighted_order
from .diagnostics.causes import compute_input_stats
from .diagnostics.summary import InputStats
from .objectives import LearningTask, build_learning_task, class_weights, training_schema
from .optimization import OptimizerStep
from .previews import SamplePreview, build_autoencoder_preview


class EpochSeed(NamedTuple):
    """What all that is drawn in training follows from: the seed, and the number of the epoch."""

    seed: int
    current_epoch: Callable[[], int]


@dataclass(frozen=True)
class TrainingSetup:
    """What a training needs beside a trainer.

    schema: of the data as this training has it told.
    output: the trained network -> the last part of its model.
    inputs: what the doctor is to know of the rows; None if nothing.
    taken: layers that come from a trained model, without the last one.
    showing: of a model that makes images.
    """

    schema: Schema
    module: BaseModule
    train_loader: TensorBatchLoader
    validation_loader: TensorBatchLoader
    head_factory: Callable[[nn.Module], nn.Module]
    input_stats: InputStats | None = None
    transferred_layers: list[LayerGroup] = field(default_factory=list)
    preview: SamplePreview | None = None


def build_setup(
    name: str,
    params: Model,
    dataset: Dataset,
    pipeline: Pipeline,
    pretrained: PretrainedModel | None,
    epoch_seed: EpochSeed,
    *,
    device: torch.device,
    rank: int = 0,
    world_size: int = 1,
) -> TrainingSetup:
    """Build model `name` untrained, and lay its rows on `device`, which is number `part` of `parts`.

    Raises:
        ParamsError: the network, the loss or the augmentation does not fit the data, or the network `source`.
    """
    training, schema = params.training, training_schema(dataset.schema, params.training)
    network = init_network(name, params, schema, pipeline, epoch_seed.seed)
    taken = _load_pretrained(name, params, pretrained, network, schema, pipeline)
    learning = build_learning_task(name, params, dataset, schema, pipeline, network, epoch_seed.seed, device)
    shared = partial(TensorBatchLoader, rank=rank, world_size=world_size)
    batches, validation = _build_loaders(params, learning, epoch_seed, shared)
    module = _build_module(params, learning, network, batches)
    inputs = summarize_inputs(learning, training, pipeline)
    showing = build_autoencoder_preview(params, dataset, pipeline, module, epoch_seed.seed)
    return TrainingSetup(schema, module, batches, validation, learning.head_factory, inputs, taken, showing)


def summarize_inputs(task: LearningTask, training: Training, pipeline: Pipeline) -> InputStats:
    """Return what the doctor is to know of the rows of a training."""
    return compute_input_stats(
        task.schema, pipeline.feature_names, task.train, task.validation, task.criterion,
        is_balanced=training.class_balance != "none",
    )  # fmt: skip


def init_network(name: str, params: Model, schema: Schema, pipeline: Pipeline, seed: int) -> nn.Module:
    """Return the network of model `name`, its weights drawn by `seed`, from where all chance of the training follows.

    Raises:
        ParamsError: it does not fit the data.
    """
    set_num_threads(params.training.num_threads)
    torch.manual_seed(seed)
    with prefix_params_error(name):
        return build_network(params.network, build_input_spec(schema, pipeline, params.training.loss))


@contextmanager
def prefix_params_error(name: str) -> Iterator[None]:
    """Have a `ParamsError` of a network's own key say of which model."""
    try:
        yield
    except ParamsError as error:
        raise ParamsError(f"models.{name}.{error}") from None


def _load_pretrained(
    name: str, params: Model, pretrained: PretrainedModel | None, network: nn.Module, schema: Schema, pipeline: Pipeline
) -> list[LayerGroup]:
    """Put the weights of `source` into a new network, and say so; return the layers that may be frozen at first."""
    start = params.training.pretrained
    if pretrained is None or start is None:
        return []
    try:
        taken = load_matching_weights(
            pretrained, network, params.network, schema, pipeline, include_last=start.layers == "all"
        )
    except ParamsError as error:
        raise ParamsError(f"models.{name}.training.pretrained: {error}") from None
    print(f"{name} starts from {pretrained.display_name}: {taken}", flush=True)
    return taken.transferred_hidden


def _build_loaders(
    params: Model, task: LearningTask, epoch_seed: EpochSeed, loader_factory: Callable[..., TensorBatchLoader]
) -> tuple[TensorBatchLoader, TensorBatchLoader]:
    """Return the batches of training and of validation rows; of a text, windows that follow each other."""
    training, schema, rows, held_out = params.training, task.schema, task.train, task.validation
    n, m = len(rows[0]), len(held_out[0])
    stride = schema.shape[0] if task.method == "forward_all_steps" else 1
    order: OrderFn = shuffled_order(n, *epoch_seed)
    if stride > 1:
        order = strided_windows(n, min(stride, n), *epoch_seed)
    elif training.class_balance == "weighted_sampler":
        classes = (rows[1][:, 0].long() if schema.extra_targets else rows[1]).cpu()
        order = weighted_order(class_weights(schema, classes.numpy())[classes], *epoch_seed)
    x, y = (part[:: min(stride, m)] for part in held_out)
    return (
        loader_factory(*rows, training.batch_size, order=order, n_samples=n // min(stride, n)),
        # a text's outputs are as many as its vocabulary, at each step
        loader_factory(x, y, VALIDATION_BATCH_SIZE if stride == 1 else training.batch_size),
    )


def import_family(family: str) -> None:
    """Import all code of a family before a fingerprint is computed: it covers the modules that are loaded."""
    for file in pkgutil.iter_modules(import_module(f"fivefold.models.{family}").__path__):
        import_module(f"fivefold.models.{family}.{file.name}")


def _build_module(
    params: Model, task: LearningTask, network: nn.Module, train_loader: TensorBatchLoader
) -> SupervisedModule:
    training = params.training
    return SupervisedModule(
        network.to(memory_format=torch.channels_last),
        task.criterion,
        partial(
            OptimizerStep,
            params=training,
            steps_per_epoch=train_loader.steps_per_epoch,
            world_size=train_loader.world_size,
            extra_parameters=tuple(task.criterion.parameters()),
        ),
        steps_per_epoch=train_loader.steps_per_epoch,
        method=task.method,
        use_ema=training.ema_decay > 0,
        precision=training.precision,
        compile_network=training.compile,
        augment=task.augment,
    )


def adapt_dataset(
    params: Model, dataset_params: DatasetParams, dataset: Dataset, pipeline: Pipeline
) -> tuple[Dataset, Pipeline]:
    """Return rows as the network sees them: what makes a table's rows makes targets too, as columns like the others.

    block: of the dataset; chain: fitted to its features.
    """
    network = params.network
    if not isinstance(network, Gan) or dataset_params.kind != "table":
        return dataset, pipeline
    # scikit-learn is paid for by tables that are made alone
    from ..models.gan.tabular import prepare_table

    return prepare_table(network, dataset_params, dataset)
