"""Data classes of the diagnostics: measurements, statistics and summary of a training, and the resulting diagnosis."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ...config.models import Model

Measurements = dict[str, dict[str, list[float | None]]]
"""Kind -> layer -> one value per epoch, measured in its first step; None if it was not measured or is not finite.

gradient_norm: norm of the gradient of the layer's parameters, before clipping.
update_ratio: norm of the change of the layer's parameters, divided by the norm of the parameters.
dead_fraction: fraction of an activation's units that are 0 (relu) or saturated (sigmoid, tanh) for all rows.
early_gradient_ratio: of a recurrent layer, gradient at the first steps divided by the largest gradient at any step.
"""

LOGGED_KINDS = ("gradient_norm", "dead_fraction", "early_gradient_ratio")
"""Kinds that are logged as metrics `diagnostics/<kind>/<layer>`."""


def diagnostic_metrics(measurements: Measurements, epoch: int) -> dict[str, float]:
    """Return the measurements of one epoch, counted from 0, as metrics of the run."""
    layers = (
        (kind, layer, values[epoch]) for kind in LOGGED_KINDS for layer, values in measurements.get(kind, {}).items()
    )
    return {f"diagnostics/{kind}/{layer}": value for kind, layer, value in layers if value is not None}


@dataclass(frozen=True)
class InputStats:
    """Statistics of preprocessed training data.

    kind: kind of the dataset.
    median_rms, max_rms: median and maximum of the root mean squares of the features; None for tokens.
    max_rms_feature: name or index of the feature with `max_rms`.
    missing_classes: classes without training rows.
    has_constant_target: whether all targets are equal.
    input_size: number of values of a sample.
    constant_loss: validation loss of the constant prediction that fits the training rows best.
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
    """Losses and measurements of a training, and the parameters that remedies refer to.

    train_losses, val_losses: mean losses by epoch; the last may be of an epoch that was interrupted.
    has_gradient_clipping: whether gradients are clipped by norm or by value.
    network_params: the block `network` of the model.
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
    """Return the summary of a training with these metrics by epoch."""
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
    """A training problem that was found; the message states the problem and the remedy."""

    rule: str
    level: Literal["problem", "hint"]
    message: str


@dataclass(frozen=True)
class Diagnosis:
    """The result of the diagnostics of a training."""

    findings: tuple[Finding, ...]
    constant_loss: float | None
    measurements: Measurements = field(default_factory=dict)

    def summary_lines(self) -> list[str]:
        """Return the lines that are printed after training."""
        lines = [f"{finding.level}: {finding.message}" for finding in self.findings]
        return lines or ["no training problems found"]

    def to_json(self) -> str:
        """Return the content of `diagnostics.json`."""
        content: dict[str, Any] = {
            "findings": [vars(finding) for finding in self.findings],
            "constant_loss": self.constant_loss,
            "measurements": self.measurements,
        }
        return json.dumps(content, indent=2) + "\n"
