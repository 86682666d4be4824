"""What cannot be stacked is said."""

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

from .cases import AUTOENCODER, CONVOLUTIONS, MLP, PIXELS, PLAIN, dataset, job, model

TRAINING: dict[str, dict[str, Any]] = {
    "training.optimizer is rmsprop": {"optimizer": {"name": "rmsprop", "lr": 0.01}},
    "training.optimizer is nadam": {"optimizer": {"name": "nadam", "lr": 0.01}},
    "training.class_balance is sampling": {"class_balance": "sampling"},
    "training.precision is bf16": {"precision": "bf16"},
    "training.pretrained is used": {"start": {"model": "other"}},
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
    "network.family is cnn, design fcn": {"family": "cnn", "architecture": "fcn"},
    "network.norm is batch": CONVOLUTIONS | {"norm": "batch"},
    "network.pool is average": CONVOLUTIONS | {"pool": "average"},
    "network.head is global": CONVOLUTIONS | {"head": "global"},
    "network.family is rnn": {"family": "rnn", "hidden": [4]},
    "networks are so large that a stack gains no time, which multiply 16,908,288 times a step": MLP
    | {"hidden": [1024, 1024]},
}
DIFFERENT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "jobs differ in network.hidden": (MLP | {"hidden": [16]}, {}),
    "jobs differ in network.family": (AUTOENCODER, {}),
    "jobs differ in training.batch_size": (MLP, {"batch_size": 8}),
    "jobs differ in training.loss": (MLP, {"loss": {"name": "focal"}}),
    "jobs differ in training.optimizer.name": (MLP, {"optimizer": {"name": "sgd", "lr": 0.1}}),
    "jobs differ in training.schedule.name": (MLP, {"schedule": {"name": "cosine"}}),
}


def test_what_jobs_may_each_have_of_their_own() -> None:
    own = {
        "optimizer": {"name": "adam", "lr": 0.5, "weight_decay": 0.1, "beta1": 0.8},
        "patience": 3,
        "keep": "last",
        "gradient_clip_norm": 1.0,
        "l1": 0.1,
    }
    assert ineligible_reason([job(), job(MLP | {"dropout": 0.5}, rows=33, seed=4, **own)]) == ""


@pytest.mark.parametrize("reason", TRAINING)
def test_of_training(reason: str) -> None:
    assert ineligible_reason([job(), job(**TRAINING[reason])]) == reason


@pytest.mark.parametrize("reason", NETWORKS)
def test_of_networks(reason: str) -> None:
    assert ineligible_reason([job(NETWORKS[reason])]) == reason


@pytest.mark.parametrize("reason", DIFFERENT)
def test_differences(reason: str) -> None:
    network, training = DIFFERENT[reason]
    assert ineligible_reason([job(), job(network, **training)]) == reason


def test_of_data() -> None:
    one = job()
    several = one.dataset.schema.model_copy(update={"also": (ExtraTarget(name="u"),)})
    assert (
        ineligible_reason([replace(one, dataset=replace(one.dataset, schema=several))])
        == "the dataset has several targets"
    )
    fewer = PLAIN.with_steps(Step("take", {"index": np.arange(2)}))
    assert ineligible_reason([one, replace(one, pipeline=fewer)]) == "jobs differ in the shape of features"
    assert ineligible_reason([job(classes=2), job(classes=3)]) == "jobs differ in the number of outputs"
    assert ineligible_reason([]) == "there are none"


def test_what_cannot_be_stacked_is_not_trained() -> None:
    with pytest.raises(TrainingError, match=r"^m: jobs .* alike, but training\.ema is used; train them one by one$"):
        fit_vectorized("m", [job(ema=0.5)], lambda *_: ())


def test_a_network_that_does_not_fit_is_said_of_its_model() -> None:
    deep = Job(model(CONVOLUTIONS | {"channels": [4, 4, 4]}), dataset(3, 20, 0, side=5), PIXELS, 0)
    assert ineligible_reason([deep]) == ""
    with pytest.raises(ParamsError, match=r"^models\.m\.network\.channels must have at most 2 stages"):
        fit_vectorized("m", [deep], lambda *_: ())
