"""Which trainings can be stacked; the others are trained one by one."""

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
"""What convolutions of a stack can be."""

SHARED_TRAINING_KEYS = ("max_epochs", "batch_size", "loss", "difference", "class_balance", "accelerator", "num_threads")
"""Keys of `training` that are the same for all jobs of a stack."""

MAX_MULTIPLICATIONS = 2**23
"""Multiplications of a step forward, from where on they take a CPU so long that a stack gains nothing: measured with 5
networks on one thread, 0.25 of the time one by one at 2**17, 0.7 at 2**22, 0.9 at 2**23, 1 at 2**24."""


def ineligible_reason(jobs: Sequence[Job]) -> str:
    """Return why jobs cannot be trained in a stack, in a few words; empty if they can."""
    if not jobs:
        return "there are none"
    for job in jobs:
        for reason in chain(_training_reasons(job.params.training), _network_reasons(job)):
            return reason
    return next(chain(_difference_reasons(jobs), _size_reasons(jobs[0])), "")


def _training_reasons(training: Training) -> Iterator[str]:
    """Yield what of a training a stack does not do."""
    if training.optimizer.name not in SUPPORTED_OPTIMIZERS:
        yield f"training.optimizer is {training.optimizer.name}"
    if training.class_balance == "weighted_sampler":
        yield "training.class_balance is sampling"
    if training.precision != "32":
        yield f"training.precision is {training.precision}"
    used = {
        "pretrained": training.pretrained is not None,
        "augment": training.augment.is_active,
        "accumulate_grad_batches": training.accumulate_grad_batches > 1,
        "ema_decay": training.ema_decay > 0,
        "compile": training.compile,
        "devices": training.devices > 1,
    }
    for key, is_used in used.items():
        if is_used:
            yield f"training.{key} is used"


def _network_reasons(job: Job) -> Iterator[str]:
    """Yield what of a network, or of what it tells, a stack does not do."""
    network, schema = job.params.network, job.dataset.schema
    shape = build_input_spec(schema, job.pipeline, job.params.training.loss)
    if schema.extra_targets:
        yield "the dataset has several targets"
    if shape.vocab_size:
        yield "records are texts"
    match network:
        case Mlp():
            if network.embedding_dim and shape.one_hot_sizes:
                yield "network.embedding_dim is used"
        case Autoencoder():
            if network.architecture != "dense":
                yield f"network.architecture is {network.architecture}"
            if not isinstance(network.variant, PlainVariant | DenoisingVariant):
                yield f"network.variant is {network.variant.name}"
            if shape.has_mask:
                yield "steps of a sequence may be missing"
            if shape.one_hot_sizes:
                yield "categories are told again"
        case PlainCnn() | TutorialCnn():
            chosen = network if isinstance(network, PlainCnn) else PlainCnn(family="cnn", architecture="plain")
            for key, value in REQUIRED_CNN_OPTIONS.items():
                if getattr(chosen, key) != value:
                    yield f"network.{key} is {getattr(chosen, key)}"
        case _:
            yield f"network.family is {network.family}" + (
                f", design {network.architecture}" if network.family == "cnn" else ""
            )


def _size_reasons(job: Job) -> Iterator[str]:
    """Yield that networks are too large to gain from a stack; a GPU gains from larger ones too."""
    training, schema = job.params.training, job.dataset.schema
    if training.accelerator != "cpu" and torch.accelerator.is_available():
        return
    shape = build_input_spec(schema, job.pipeline, training.loss)
    rows = min(training.batch_size, len(job.dataset.train))
    try:
        with (
            torch.device("meta"),
            FlopCounterMode(display=False) as counted,
        ):  # shapes without numeric_transform: costs nothing
            build_network(job.params.network, shape).eval()(torch.empty(rows, *shape.shape))
    except ParamsError:  # it does not fit the records, which training says better
        return
    if (times := counted.get_total_flops() // 2) > MAX_MULTIPLICATIONS:
        yield f"networks are so large that a stack gains no time, which multiply {times:,} times a step"


def _difference_reasons(jobs: Sequence[Job]) -> Iterator[str]:
    """Yield what all jobs of a stack must share, but do not."""
    every = [_shared_settings(job) for job in jobs]
    for key, value in every[0].items():
        if any(each.get(key) != value for each in every):
            yield f"jobs differ in {key}"


def _shared_settings(job: Job) -> dict[str, Any]:
    """Return what a job must share with the others, by name."""
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
