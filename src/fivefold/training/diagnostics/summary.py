"""What is known of a training once it has ended, and what is found in it: plain values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ...config.models import Model

Measured = dict[str, dict[str, list[float | None]]]
"""Kind -> layer -> a value for each epoch, taken at its first step; None where there is none, or none that is finite.

gradient: norm of the gradient of the layer's parameters, before clipping.
update:   norm of the change of the layer's parameters, as a share of the norm of the parameters.
dead:     share of the activation's units that are 0 (relu) or at their bounds (sigmoid, tanh) for all rows.
reach:    of a recurrent layer, the gradient at its first steps as a share of the largest at any step.
"""

TOLD = ("gradient", "dead", "reach")
"""Kinds that are metrics of the run, `doctor/<kind>/<layer>`."""


def metrics_of(measured: Measured, epoch: int) -> dict[str, float]:
    """Return what was measured in an epoch as metrics of the run."""
    layers = ((kind, layer, values[epoch]) for kind in TOLD for layer, values in measured.get(kind, {}).items())
    return {f"doctor/{kind}/{layer}": value for kind, layer, value in layers if value is not None}


@dataclass(frozen=True)
class Inputs:
    """What the network is given, as the training rows have it.

    kind: of the dataset.
    typical, largest: root of the mean square of the middle feature and of the largest; None for tokens.
    feature: name or number of the largest.
    absent: classes without a row.
    single: whether all targets are one value.
    numbers: of a record.
    constant: loss of the validation rows if the same is told for all, the best that training rows suggest.
    """

    kind: str
    typical: float | None
    largest: float | None
    feature: str
    absent: tuple[str, ...]
    single: bool
    numbers: int
    constant: float


@dataclass(frozen=True)
class Course:
    """A training: losses by epoch, what was measured in it, and what of params.yaml the remedies speak of.

    train, val: mean losses; the last may be of an epoch that broke off.
    steps: of an epoch.
    limits: whether gradients are clipped.
    network: its block.
    """

    train: Sequence[float]
    val: Sequence[float]
    measured: Measured
    inputs: Inputs
    dataset: str
    steps: int
    max_epochs: int
    lr: float
    limits: bool = False
    network: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "32"


def course_of(
    params: Model, inputs: Inputs, epochs: Sequence[Mapping[str, float]], measured: Measured, steps: int
) -> Course:
    """Return the course of a training with these metrics by epoch."""
    training = params.training
    return Course(
        train=[metrics["train/loss"] for metrics in epochs],
        val=[metrics["val/loss"] for metrics in epochs],
        measured=measured,
        inputs=inputs,
        dataset=params.dataset,
        steps=steps,
        max_epochs=training.max_epochs,
        lr=training.optimizer.lr,
        limits=bool(training.gradient_clip or training.gradient_clip_value),
        network=params.network.model_dump(),
        precision=training.precision,
    )


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, in a sentence that ends with the remedy."""

    rule: str
    level: Literal["problem", "hint"]
    text: str


@dataclass(frozen=True)
class Checkup:
    """What the doctor says of a training."""

    findings: tuple[Finding, ...]
    constant: float | None
    measured: Measured = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return what a person is told."""
        said = [f"doctor, {finding.level}: {finding.text}" for finding in self.findings]
        return said or ["the doctor found nothing wrong"]

    def to_json(self) -> str:
        """Return `doctor.json`."""
        facts: dict[str, Any] = {
            "findings": [vars(finding) for finding in self.findings],
            "constant_loss": self.constant,
            "measured": self.measured,
        }
        return json.dumps(facts, indent=2) + "\n"
