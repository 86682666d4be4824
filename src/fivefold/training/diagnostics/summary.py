"""What is known of a training once it has ended, and what is found in it: plain values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ...config.models import Model

Measurements = dict[str, dict[str, list[float | None]]]
"""Kind -> layer -> a value for each epoch, taken at its first step; None where there is none, or none that is finite.

gradient: norm of the gradient of the layer's parameters, before clipping.
update:   norm of the change of the layer's parameters, as a share of the norm of the parameters.
dead:     share of the activation's units that are 0 (relu) or at their bounds (sigmoid, tanh) for all rows.
reach:    of a recurrent layer, the gradient at its first steps as a share of the largest at any step.
"""

LOGGED_KINDS = ("gradient", "dead", "reach")
"""Kinds that are metrics of the run, `doctor/<kind>/<layer>`."""


def diagnostic_metrics(measurements: Measurements, epoch: int) -> dict[str, float]:
    """Return what was measured in an epoch as metrics of the run."""
    layers = (
        (kind, layer, values[epoch]) for kind in LOGGED_KINDS for layer, values in measurements.get(kind, {}).items()
    )
    return {f"doctor/{kind}/{layer}": value for kind, layer, value in layers if value is not None}


@dataclass(frozen=True)
class InputStats:
    """What the network is given, as the training rows have it.

    kind: of the dataset.
    typical, largest: root of the mean square of the middle feature and of the largest; None for tokens.
    feature: name or number of the largest.
    absent: classes without a row.
    single: whether all targets are one value.
    numeric_transform: of a record.
    constant: loss of the validation rows if the same is told for all, the best that training rows suggest.
    """

    kind: str
    median_rms: float | None
    max_rms: float | None
    max_rms_feature: str
    missing_classes: tuple[str, ...]
    has_constant_target: bool
    input_size: int
    constant_loss: float


@dataclass(frozen=True)
class TrainingSummary:
    """A training: losses by epoch, what was measured in it, and what of params.yaml the remedies speak of.

    train, val: mean losses; the last may be of an epoch that broke off.
    steps: of an epoch.
    limits: whether gradients are clipped.
    network: its block.
    """

    train_losses: Sequence[float]
    val_losses: Sequence[float]
    measurements: Measurements
    input_stats: InputStats
    dataset: str
    steps_per_epoch: int
    max_epochs: int
    lr: float
    has_gradient_clipping: bool = False
    network_params: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "32"


def summarize_training(
    params: Model,
    input_stats: InputStats,
    metrics_by_epoch: Sequence[Mapping[str, float]],
    measurements: Measurements,
    steps_per_epoch: int,
) -> TrainingSummary:
    """Return the course of a training with these metrics by epoch."""
    training = params.training
    return TrainingSummary(
        train_losses=[metrics["train/loss"] for metrics in metrics_by_epoch],
        val_losses=[metrics["val/loss"] for metrics in metrics_by_epoch],
        measurements=measurements,
        input_stats=input_stats,
        dataset=params.dataset,
        steps_per_epoch=steps_per_epoch,
        max_epochs=training.max_epochs,
        lr=training.optimizer.lr,
        has_gradient_clipping=bool(training.gradient_clip_norm or training.gradient_clip_value),
        network_params=params.network.model_dump(),
        precision=training.precision,
    )


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, in a sentence that ends with the remedy."""

    rule: str
    level: Literal["problem", "hint"]
    message: str


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor says of a training."""

    findings: tuple[Finding, ...]
    constant_loss: float | None
    measurements: Measurements = field(default_factory=dict)

    def summary_lines(self) -> list[str]:
        """Return what a person is told."""
        said = [f"doctor, {finding.level}: {finding.message}" for finding in self.findings]
        return said or ["the doctor found nothing wrong"]

    def to_json(self) -> str:
        """Return `doctor.json`."""
        facts: dict[str, Any] = {
            "findings": [vars(finding) for finding in self.findings],
            "constant_loss": self.constant_loss,
            "measured": self.measurements,
        }
        return json.dumps(facts, indent=2) + "\n"
