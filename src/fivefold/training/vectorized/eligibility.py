"""Decide which training jobs can be vectorized; the others are trained one by one."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ...config.networks.autoencoder import Autoencoder, DenoisingVariant, PlainVariant
from ...config.networks.cnn import PlainCnn, TutorialCnn
from ...config.networks.mlp import Mlp
from ...config.training import Training
from ...errors import ParamsError
from ...models.factory import build_network
from ...models.losses import output_size
from ...models.serialization import build_input_spec
from .job import Job

SUPPORTED_OPTIMIZERS = ("adam", "adamw", "sgd")

REQUIRED_CNN_OPTIONS = {"norm": "none", "pool": "max", "head": "flatten"}
"""Options of a CNN that can be vectorized."""

SHARED_TRAINING_KEYS = ("max_epochs", "batch_size", "loss", "difference", "class_balance", "accelerator", "num_threads")
"""Keys of `training` that must be equal in all jobs of a stack."""

MAX_MULTIPLICATIONS = 2**23
"""Multiplications of a forward pass above which vectorizing saves no time on a CPU. Measured with 5 networks on one
thread, relative to the time one by one: 0.25 at 2**17, 0.7 at 2**22, 0.9 at 2**23, 1 at 2**24."""


def ineligible_reason(jobs: Sequence[Job]) -> str:
    """Return a short reason why jobs cannot be vectorized; empty if they can."""
    if not jobs:
        return "there are no jobs"
    for job in jobs:
        for reason in chain(_training_reasons(job.params.training), _network_reasons(job)):
            return reason
    return next(chain(_difference_reasons(jobs), _size_reasons(jobs[0])), "")


def _training_reasons(training: Training) -> Iterator[str]:
    """Yield training parameters that cannot be vectorized."""
    if training.optimizer.name not in SUPPORTED_OPTIMIZERS:
        yield f"training.optimizer is {training.optimizer.name}"
    if training.class_balance == "weighted_sampler":
        yield "training.class_balance is weighted_sampler"
    if training.precision != "32":
        yield f"training.precision is {training.precision}"
    is_used_by_key = {
        "pretrained": training.pretrained is not None,
        "augment": training.augment.is_active,
        "accumulate_grad_batches": training.accumulate_grad_batches > 1,
        "ema_decay": training.ema_decay > 0,
        "compile": training.compile,
        "devices": training.devices > 1,
    }
    for key, is_used in is_used_by_key.items():
        if is_used:
            yield f"training.{key} is used"


def _network_reasons(job: Job) -> Iterator[str]:
    """Yield properties of a network or of its targets that cannot be vectorized."""
    network, schema = job.params.network, job.dataset.schema
    spec = build_input_spec(schema, job.pipeline, job.params.training.loss)
    if schema.extra_targets:
        yield "the dataset has several targets"
    if spec.vocab_size:
        yield "samples are texts"
    match network:
        case Mlp():
            if network.embedding_dim and spec.one_hot_sizes:
                yield "network.embedding_dim is used"
        case Autoencoder():
            if network.architecture != "dense":
                yield f"network.architecture is {network.architecture}"
            if not isinstance(network.variant, PlainVariant | DenoisingVariant):
                yield f"network.variant is {network.variant.name}"
            if spec.has_mask:
                yield "sequences have a mask"
            if spec.one_hot_sizes:
                yield "categorical columns are reconstructed"
        case PlainCnn() | TutorialCnn():
            cnn = network if isinstance(network, PlainCnn) else PlainCnn(family="cnn", architecture="plain")
            for key, value in REQUIRED_CNN_OPTIONS.items():
                if getattr(cnn, key) != value:
                    yield f"network.{key} is {getattr(cnn, key)}"
        case _:
            yield f"network.family is {network.family}" + (
                f", architecture {network.architecture}" if network.family == "cnn" else ""
            )


def _size_reasons(job: Job) -> Iterator[str]:
    """Yield a reason if networks are too large to save time on a CPU; on a GPU larger networks do."""
    training, schema = job.params.training, job.dataset.schema
    if training.accelerator != "cpu" and torch.accelerator.is_available():
        return
    spec = build_input_spec(schema, job.pipeline, training.loss)
    batch_size = min(training.batch_size, len(job.dataset.train))
    try:
        # the meta device has shapes without values, so that counting takes no time
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            build_network(job.params.network, spec).eval()(torch.empty(batch_size, *spec.shape))
    except ParamsError:  # the network does not fit the data; training reports it with the model's name
        return
    if (multiplications := counter.get_total_flops() // 2) > MAX_MULTIPLICATIONS:
        yield f"networks are too large to save time: a step has {multiplications:,} multiplications"


def _difference_reasons(jobs: Sequence[Job]) -> Iterator[str]:
    """Yield settings that must be equal in all jobs, but differ."""
    settings = [_shared_settings(job) for job in jobs]
    for key, value in settings[0].items():
        if any(other.get(key) != value for other in settings):
            yield f"jobs differ in {key}"


def _shared_settings(job: Job) -> dict[str, Any]:
    """Return the settings of a job that must be equal in all jobs, by name."""
    training, schema = job.params.training, job.dataset.schema
    network = job.params.network.model_dump()
    network.pop("dropout", None)
    return {
        **{f"network.{key}": value for key, value in network.items()},
        **{f"training.{key}": getattr(training, key) for key in SHARED_TRAINING_KEYS},
        "training.optimizer.name": training.optimizer.name,
        "training.schedule.name": training.schedule.name,
        "the shape of features": job.pipeline.output_shape(schema.shape),
        "the number of outputs": output_size(schema, training.loss),
        "the classes": schema.classes,
    }
