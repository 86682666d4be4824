"""Diagnostics callback of an adversarial training: measures one step of each network per epoch and diagnoses them.

Mode collapse is detected from the metric `val/diversity`. A discriminator that is too confident is detected from the
gradient of the generator, which is computed through the discriminator.
"""

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

import pytorch_lightning as pl

from ...config.models import Model
from .causes import VANISHING_RATIO, join_with_or
from .probe import Probe, append_measurements
from .summary import Diagnosis, Finding, InputStats, Measurements, diagnostic_metrics

COLLAPSE_RATIO = 0.25
"""Mean distance of generated samples, divided by that of real ones, below which the generator has collapsed."""

UNTRANSLATED_RATIO = 0.5
"""Distance of translated images from real ones, divided by that of the classes, from which nothing is translated."""

MetricsByEpoch = Sequence[dict[str, float]]


class AdversarialDiagnosticsCallback(pl.Callback):
    """Measure the first step of each network in each epoch.

    Must run before callbacks that report the epoch or write checkpoints.
    """

    input_stats: InputStats | None
    probes: dict[str, Probe]

    def __init__(self, params: Model) -> None:
        self.params = params
        self.n_epochs = 0
        self.measurements: Measurements = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Create the probes of the networks, which are on their device now."""
        self.optim_steps = pl_module.optim_steps
        self.probes = {
            name: Probe(pl_module.networks[name], optim_step.optimizer, probe_activations=False)
            for name, optim_step in self.optim_steps.items()
        }

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the next step of each network."""
        for name, probe in self.probes.items():
            probe.add_hooks()
            self.optim_steps[name].gradient_hook = probe.measure

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read the measurements, after the last training step of the epoch."""
        values = {name: probe.read() for name, probe in self.probes.items()}
        for kind in ("gradient_norm", "update_ratio"):
            layers = {f"{name}.{layer}": value for name in values for layer, value in values[name][kind].items()}
            append_measurements({kind: layers}, self.measurements, self.n_epochs)
        self.n_epochs += 1

    def metrics(self) -> dict[str, float]:
        """Return the measurements of the last epoch as metrics."""
        return diagnostic_metrics(self.measurements, self.n_epochs - 1)

    def alarms(self, metrics_by_epoch: MetricsByEpoch) -> tuple[Finding, ...]:
        """Return findings that are reported before training ends: a mode collapse begins or is over.

        It begins with the second consecutive validation of the generator in which it is observed.
        """
        if "val/diversity" not in metrics_by_epoch[-1]:
            return ()
        diversities = [row["val/diversity"] for row in metrics_by_epoch if "val/diversity" in row]
        collapsed = [diversity < COLLAPSE_RATIO for diversity in diversities]
        if collapsed[-2:] == [True, True] and collapsed[-3:] != [True, True, True]:
            return tuple(filter(None, [self._check_collapse(metrics_by_epoch)]))
        if collapsed[-3:] == [True, True, False]:
            message = f"{_describe_diversity(diversities[-1])} in epoch {len(metrics_by_epoch)}: mode collapse is over"
            return (Finding("mode_collapse", "hint", message),)
        return ()

    def build_diagnosis(self, metrics_by_epoch: MetricsByEpoch) -> Diagnosis:
        """Return the diagnosis of a training with these metrics by epoch."""
        findings = (
            self._check_collapse(metrics_by_epoch),
            self._check_translation(metrics_by_epoch),
            self._check_discriminator_gradient(),
        )
        return Diagnosis(tuple(filter(None, findings)), None, {"gradient_norm": {}} | self.measurements)

    def suggest_remedy(self, metrics_by_epoch: MetricsByEpoch) -> str:
        """Return the remedy for a loss that is not finite."""
        return (
            f"lower training.optimizer.lr (now {self.params.training.optimizer.lr:g}) or"
            " network.discriminator_lr_factor, or set training.gradient_clip_norm"
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"n_epochs": self.n_epochs, "measurements": self.measurements}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.n_epochs, self.measurements = state_dict["n_epochs"], state_dict["measurements"]

    def _check_collapse(self, metrics_by_epoch: MetricsByEpoch) -> Finding | None:
        """Return a finding if the generator has collapsed in the last validation, with the epoch since when."""
        diversities = [
            (epoch + 1, row["val/diversity"]) for epoch, row in enumerate(metrics_by_epoch) if "val/diversity" in row
        ]
        since = math.inf
        for epoch, diversity in reversed(diversities):
            if diversity >= COLLAPSE_RATIO:
                break
            since = epoch
        if since is math.inf:
            return None
        return Finding(
            "mode_collapse",
            "problem",
            f"{_describe_diversity(diversities[-1][1])} since epoch {since}: mode collapse; try"
            f" {self._collapse_remedies()}",
        )

    def _check_translation(self, metrics_by_epoch: MetricsByEpoch) -> Finding | None:
        """Return a finding if translated images hardly differ from their originals, which costs no cycle loss."""
        distances = [row["val/kid"] for row in metrics_by_epoch if "val/translation_score" in row]
        if not distances or distances[-1] < UNTRANSLATED_RATIO:
            return None
        network = self.params.network.model_dump()
        return Finding(
            "no_translation",
            "problem",
            f"the distance of translated images from real ones is still {distances[-1]:.0%} of that between the"
            f" classes; try a smaller network.lambda_cycle (now {network['lambda_cycle']:g}), network.lambda_identity"
            f" (now {network['lambda_identity']:g}) or network.discriminator_lr_factor (now"
            f" {network['discriminator_lr_factor']:g})",
        )

    def _collapse_remedies(self) -> str:
        network = self.params.network.model_dump()
        remedies = [] if network["loss"]["name"].startswith("wasserstein") else ["network.loss wasserstein_gp"]
        if self.params.network.family == "cyclegan":
            remedies.append(f"a larger network.lambda_cycle (now {network['lambda_cycle']:g})")
        else:
            remedies += ["network.norm spectral"] if network["norm"] != "spectral" else []
            remedies += ["network.r1"] if not network["r1"] else []
        return join_with_or([*remedies, f"a lower training.optimizer.lr (now {self.params.training.optimizer.lr:g})"])

    def _check_discriminator_gradient(self) -> Finding | None:
        """Return a finding if the generator's gradient has become much smaller than it was."""
        norms = self._gradient_norms("generator")
        largest = max(norms, default=0.0)
        recent = median(norms[-3:]) if norms else 0.0
        if not largest or recent >= VANISHING_RATIO * largest:
            return None
        network = self.params.network.model_dump()
        remedies = ["network.loss non_saturating"] if network["loss"]["name"] == "minimax" else []
        remedies.append(f"a lower network.discriminator_lr_factor (now {network['discriminator_lr_factor']:g})")
        remedies.append("network.instance_noise")
        return Finding(
            "vanishing_discriminator",
            "problem",
            f"the gradient that the generator gets from the discriminator is {recent / largest:.1g} times its largest"
            f" value: the discriminator is too confident; try {join_with_or(remedies)}",
        )

    def _gradient_norms(self, network_name: str) -> list[float]:
        """Return the norm of the gradient of all layers of a network in each epoch in which it was measured."""
        by_layer = self.measurements.get("gradient_norm", {})
        layers = [values for name, values in by_layer.items() if name.startswith(f"{network_name}.")]
        return [
            math.hypot(*norms) for epoch in zip(*layers, strict=True) if (norms := [n for n in epoch if n is not None])
        ]


def _describe_diversity(diversity: float) -> str:
    return f"the diversity of generated samples is {diversity:.0%} of that of real ones"
