"""Build the training setup of a supervised network or an autoencoder: module, data loaders, head and diagnostics input.

Shapes: n rows, k outputs.
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
    """The seed and the current epoch, from which all random numbers of a training are derived."""

    seed: int
    current_epoch: Callable[[], int]


@dataclass(frozen=True)
class TrainingSetup:
    """Everything that a training needs in addition to a trainer.

    schema: of the dataset, with the quantiles and the differencing of this training.
    head_factory: called with the trained network; returns the head of its model.
    input_stats: statistics of the training data for the diagnostics; None if they need none.
    transferred_layers: layers with weights of the pretrained model, without the output layer.
    preview: renders generated images during training; None unless the model generates images.
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
    """Return the setup of model `name`, untrained, with its rows on `device`.

    rank, world_size: index of this process, and number of processes that share each batch.

    Raises:
        ParamsError: the network, the loss or the augmentation does not fit the data, or `pretrained` does not fit the
            network.
    """
    training, schema = params.training, training_schema(dataset.schema, params.training)
    network = init_network(name, params, schema, pipeline, epoch_seed.seed)
    transferred_layers = _load_pretrained(name, params, pretrained, network, schema, pipeline)
    task = build_learning_task(name, params, dataset, schema, pipeline, network, epoch_seed.seed, device)
    loader_factory = partial(TensorBatchLoader, rank=rank, world_size=world_size)
    train_loader, validation_loader = _build_loaders(params, task, epoch_seed, loader_factory)
    module = _build_module(params, task, network, train_loader)
    return TrainingSetup(
        schema,
        module,
        train_loader,
        validation_loader,
        task.head_factory,
        summarize_inputs(task, training, pipeline),
        transferred_layers,
        build_autoencoder_preview(params, dataset, pipeline, module, epoch_seed.seed),
    )


def summarize_inputs(task: LearningTask, training: Training, pipeline: Pipeline) -> InputStats:
    """Return statistics of the training and validation data for the diagnostics."""
    return compute_input_stats(
        task.schema, pipeline.feature_names, task.train, task.validation, task.criterion,
        is_balanced=training.class_balance != "none",
    )  # fmt: skip


def init_network(name: str, params: Model, schema: Schema, pipeline: Pipeline, seed: int) -> nn.Module:
    """Return the network of model `name` with random weights; sets PyTorch's seed and number of threads.

    Raises:
        ParamsError: the network does not fit the data.
    """
    set_num_threads(params.training.num_threads)
    torch.manual_seed(seed)
    with prefix_params_error(name):
        return build_network(params.network, build_input_spec(schema, pipeline, params.training.loss))


@contextmanager
def prefix_params_error(name: str) -> Iterator[None]:
    """Prefix the message of a `ParamsError`, which begins with a key of the network, with `models.<name>.`."""
    try:
        yield
    except ParamsError as error:
        raise ParamsError(f"models.{name}.{error}") from None


def _load_pretrained(
    name: str, params: Model, pretrained: PretrainedModel | None, network: nn.Module, schema: Schema, pipeline: Pipeline
) -> list[LayerGroup]:
    """Copy the weights of `pretrained` into the network and print a report; return the layers that may be frozen."""
    config = params.training.pretrained
    if pretrained is None or config is None:
        return []
    try:
        report = load_matching_weights(
            pretrained, network, params.network, schema, pipeline, include_last=config.layers == "all"
        )
    except ParamsError as error:
        raise ParamsError(f"models.{name}.training.pretrained: {error}") from None
    print(f"{name} starts from {pretrained.display_name}: {report}", flush=True)
    return report.transferred_hidden


def _build_loaders(
    params: Model, task: LearningTask, epoch_seed: EpochSeed, loader_factory: Callable[..., TensorBatchLoader]
) -> tuple[TensorBatchLoader, TensorBatchLoader]:
    """Return the loaders of training and of validation rows; for a text they yield consecutive windows."""
    training, schema = params.training, task.schema
    n_train, n_validation = len(task.train[0]), len(task.validation[0])
    stride = schema.shape[0] if task.method == "forward_all_steps" else 1
    order: OrderFn = shuffled_order(n_train, *epoch_seed)
    if stride > 1:
        order = strided_windows(n_train, min(stride, n_train), *epoch_seed)
    elif training.class_balance == "weighted_sampler":
        classes = (task.train[1][:, 0].long() if schema.extra_targets else task.train[1]).cpu()
        order = weighted_order(class_weights(schema, classes.numpy())[classes], *epoch_seed)
    x, y = (tensor[:: min(stride, n_validation)] for tensor in task.validation)
    return (
        loader_factory(*task.train, training.batch_size, order=order, n_samples=n_train // min(stride, n_train)),
        # the outputs for a text have one value per step and token, so a large batch would need too much memory
        loader_factory(x, y, VALIDATION_BATCH_SIZE if stride == 1 else training.batch_size),
    )


def import_family(family: str) -> None:
    """Import all modules of a family, because a fingerprint covers only modules that are loaded."""
    for module in pkgutil.iter_modules(import_module(f"fivefold.models.{family}").__path__):
        import_module(f"fivefold.models.{family}.{module.name}")


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
    """Return the dataset and the pipeline that the network is trained with.

    They are returned unchanged, except that a generator of table rows also generates the targets, as further columns.

    pipeline: fitted to the features of the dataset.
    """
    network = params.network
    if not isinstance(network, Gan) or dataset_params.kind != "table":
        return dataset, pipeline
    # imported here because it loads scikit-learn, which no other model needs for training
    from ..models.gan.tabular import prepare_table

    return prepare_table(network, dataset_params, dataset)
