"""Which trainings can be stacked; the others are trained one by one."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ...config.networks.autoencoder import Autoencoder, Denoising, Plain
from ...config.networks.cnn import Stack, Tutorial
from ...config.networks.mlp import Mlp
from ...config.training import Training
from ...errors import ParamsError
from ...models.factory import build_network
from ...models.losses import outputs_of
from ...models.serialization import network_shape
from .job import Job

OPTIMIZERS = ("adam", "adamw", "sgd")

IMAGES = {"norm": "none", "pool": "max", "head": "flatten"}
"""What convolutions of a stack can be."""

SHARED = ("max_epochs", "batch_size", "loss", "base", "imbalance", "accelerator", "threads")
"""Keys of `training` that are the same for all jobs of a stack."""

LARGE = 2**23
"""Multiplications of a step forward, from where on they take a CPU so long that a stack gains nothing: measured with 5
networks on one thread, 0.25 of the time one by one at 2**17, 0.7 at 2**22, 0.9 at 2**23, 1 at 2**24."""


def why_not(jobs: Sequence[Job]) -> str:
    """Return why jobs cannot be trained in a stack, in a few words; empty if they can."""
    if not jobs:
        return "there are none"
    for job in jobs:
        for reason in chain(_of_training(job.params.training), _of_network(job)):
            return reason
    return next(chain(_differences(jobs), _of_size(jobs[0])), "")


def _of_training(training: Training) -> Iterator[str]:
    """Yield what of a training a stack does not do."""
    if training.optimizer.name not in OPTIMIZERS:
        yield f"training.optimizer is {training.optimizer.name}"
    if training.imbalance == "sampling":
        yield "training.imbalance is sampling"
    if training.precision != "32":
        yield f"training.precision is {training.precision}"
    used = {
        "start": training.start is not None,
        "augment": training.augment.active,
        "accumulate": training.accumulate > 1,
        "ema": training.ema > 0,
        "compile": training.compile,
        "devices": training.devices > 1,
    }
    for key, is_used in used.items():
        if is_used:
            yield f"training.{key} is used"


def _of_network(job: Job) -> Iterator[str]:
    """Yield what of a network, or of what it tells, a stack does not do."""
    network, schema = job.params.network, job.dataset.schema
    shape = network_shape(schema, job.chain, job.params.training.loss)
    if schema.also:
        yield "the dataset has several targets"
    if shape.tokens:
        yield "records are texts"
    match network:
        case Mlp():
            if network.embedding and shape.categories:
                yield "network.embedding is used"
        case Autoencoder():
            if network.design != "dense":
                yield f"network.design is {network.design}"
            if not isinstance(network.variant, Plain | Denoising):
                yield f"network.variant is {network.variant.name}"
            if shape.masked:
                yield "steps of a sequence may be missing"
            if shape.categories:
                yield "categories are told again"
        case Stack() | Tutorial():
            chosen = network if isinstance(network, Stack) else Stack(family="cnn", design="stack")
            for key, value in IMAGES.items():
                if getattr(chosen, key) != value:
                    yield f"network.{key} is {getattr(chosen, key)}"
        case _:
            yield f"network.family is {network.family}" + (
                f", design {network.design}" if network.family == "cnn" else ""
            )


def _of_size(job: Job) -> Iterator[str]:
    """Yield that networks are too large to gain from a stack; a GPU gains from larger ones too."""
    training, schema = job.params.training, job.dataset.schema
    if training.accelerator != "cpu" and torch.accelerator.is_available():
        return
    shape = network_shape(schema, job.chain, training.loss)
    rows = min(training.batch_size, len(job.dataset.train))
    try:
        with torch.device("meta"), FlopCounterMode(display=False) as counted:  # shapes without numbers: costs nothing
            build_network(job.params.network, shape).eval()(torch.empty(rows, *shape.features))
    except ParamsError:  # it does not fit the records, which training says better
        return
    if (times := counted.get_total_flops() // 2) > LARGE:
        yield f"networks are so large that a stack gains no time, which multiply {times:,} times a step"


def _differences(jobs: Sequence[Job]) -> Iterator[str]:
    """Yield what all jobs of a stack must share, but do not."""
    every = [_shared(job) for job in jobs]
    for key, value in every[0].items():
        if any(each.get(key) != value for each in every):
            yield f"jobs differ in {key}"


def _shared(job: Job) -> dict[str, Any]:
    """Return what a job must share with the others, by name."""
    training, schema = job.params.training, job.dataset.schema
    network = job.params.network.model_dump()
    network.pop("dropout", None)
    return {
        **{f"network.{key}": value for key, value in network.items()},
        **{f"training.{key}": getattr(training, key) for key in SHARED},
        "training.optimizer.name": training.optimizer.name,
        "training.schedule.name": training.schedule.name,
        "the shape of features": job.chain.shape(schema.shape),
        "the number of outputs": outputs_of(schema, training.loss),
        "the classes": schema.classes,
    }
