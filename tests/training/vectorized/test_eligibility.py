"""Jobs that cannot be vectorized have a reason."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fivefold.data.schema import ExtraTarget
from fivefold.errors import ParamsError, TrainingError
from fivefold.preprocessing.pipeline import Step
from fivefold.training.vectorized.eligibility import ineligible_reason
from fivefold.training.vectorized.fit import fit_vectorized
from fivefold.training.vectorized.job import Job

from .helpers import AUTOENCODER, CNN, MLP, PIPELINE, PIXELS, dataset, job, model

TRAINING: dict[str, dict[str, Any]] = {
    "training.optimizer is rmsprop": {"optimizer": {"name": "rmsprop", "lr": 0.01}},
    "training.optimizer is nadam": {"optimizer": {"name": "nadam", "lr": 0.01}},
    "training.class_balance is weighted_sampler": {"class_balance": "weighted_sampler"},
    "training.precision is bf16": {"precision": "bf16"},
    "training.pretrained is used": {"pretrained": {"model": "other"}},
    "training.augment is used": {"augment": {"mixup": 0.2}},
    "training.accumulate_grad_batches is used": {"accumulate_grad_batches": 2},
    "training.ema_decay is used": {"ema_decay": 0.9},
    "training.compile is used": {"compile": True},
    "training.devices is used": {"devices": 2},
}
NETWORKS: dict[str, dict[str, Any]] = {
    "network.architecture is conv": AUTOENCODER | {"architecture": "conv"},
    "network.variant is sparse": AUTOENCODER | {"variant": {"name": "sparse"}},
    "network.variant is variational": AUTOENCODER | {"variant": {"name": "variational"}},
    "network.family is cnn, architecture fcn": {"family": "cnn", "architecture": "fcn"},
    "network.norm is batch": CNN | {"norm": "batch"},
    "network.pool is average": CNN | {"pool": "average"},
    "network.head is global_average": CNN | {"head": "global_average"},
    "network.family is rnn": {"family": "rnn", "hidden": [4]},
    "networks are too large to save time: a step has 16,908,288 multiplications": MLP | {"hidden": [1024, 1024]},
}
DIFFERENT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "jobs differ in network.hidden": (MLP | {"hidden": [16]}, {}),
    "jobs differ in network.family": (AUTOENCODER, {}),
    "jobs differ in training.batch_size": (MLP, {"batch_size": 8}),
    "jobs differ in training.loss": (MLP, {"loss": {"name": "focal"}}),
    "jobs differ in training.optimizer.name": (MLP, {"optimizer": {"name": "sgd", "lr": 0.1}}),
    "jobs differ in training.schedule.name": (MLP, {"schedule": {"name": "cosine"}}),
}


def test_jobs_may_differ_in_these_parameters() -> None:
    changes = {
        "optimizer": {"name": "adam", "lr": 0.5, "weight_decay": 0.1, "beta1": 0.8},
        "patience": 3,
        "checkpoint": "last",
        "gradient_clip_norm": 1.0,
        "l1": 0.1,
    }
    assert ineligible_reason([job(), job(MLP | {"dropout": 0.5}, rows=33, seed=4, **changes)]) == ""


@pytest.mark.parametrize("reason", TRAINING)
def test_reasons_in_training_parameters(reason: str) -> None:
    assert ineligible_reason([job(), job(**TRAINING[reason])]) == reason


@pytest.mark.parametrize("reason", NETWORKS)
def test_reasons_in_networks(reason: str) -> None:
    assert ineligible_reason([job(NETWORKS[reason])]) == reason


@pytest.mark.parametrize("reason", DIFFERENT)
def test_reasons_in_differences_of_jobs(reason: str) -> None:
    network, training = DIFFERENT[reason]
    assert ineligible_reason([job(), job(network, **training)]) == reason


def test_reasons_in_data() -> None:
    one = job()
    several = one.dataset.schema.model_copy(update={"extra_targets": (ExtraTarget(name="u"),)})
    assert (
        ineligible_reason([replace(one, dataset=replace(one.dataset, schema=several))])
        == "the dataset has several targets"
    )
    fewer = PIPELINE.with_steps(Step("take", {"index": np.arange(2)}))
    assert ineligible_reason([one, replace(one, pipeline=fewer)]) == "jobs differ in the shape of features"
    assert ineligible_reason([job(classes=2), job(classes=3)]) == "jobs differ in the number of outputs"
    assert ineligible_reason([]) == "there are no jobs"


def test_jobs_that_cannot_be_vectorized_are_not_trained() -> None:
    with pytest.raises(
        TrainingError, match=r"^m: jobs must be eligible .*, but training\.ema_decay is used; train them one by one$"
    ):
        fit_vectorized("m", [job(ema_decay=0.5)], lambda *_: ())


def test_error_of_a_network_has_the_key_of_its_model() -> None:
    deep = Job(model(CNN | {"channels": [4, 4, 4]}), dataset(3, 20, 0, side=5), PIXELS, 0)
    assert ineligible_reason([deep]) == ""
    with pytest.raises(ParamsError, match=r"^models\.m\.network\.channels must have at most 2 stages"):
        fit_vectorized("m", [deep], lambda *_: ())
