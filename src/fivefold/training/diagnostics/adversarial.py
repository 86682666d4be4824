"""The doctor beside a contest: measures a step of both players an epoch, and says what is wrong with the two.

Whether the generator makes the same record again and again stands among the metrics; whether its critic still leads it
is read from its gradient, all of which comes through the critic.
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
"""Mean distance of made records, in that of real ones, below which the generator has collapsed."""

UNTRANSLATED_RATIO = 0.5
"""Distance of translated images from real ones, in that of the two classes, from which nothing has been translated."""

MetricsByEpoch = Sequence[dict[str, float]]


class AdversarialDiagnosticsCallback(pl.Callback):
    """Looks at the first step of each player in each epoch; must stand before callbacks that tell of the epoch."""

    input_stats: InputStats | None
    probes: dict[str, Probe]

    def __init__(self, params: Model) -> None:
        self.params = params
        self.n_epochs = 0
        self.measurements: Measurements = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Meet the players, which lie on their device now."""
        self.steppers = pl_module.steppers
        self.probes = {
            player: Probe(pl_module.players[player], stepper.optimizer, probe_activations=False)
            for player, stepper in self.steppers.items()
        }

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Watch the steps that come."""
        for player, probe in self.probes.items():
            probe.add_hooks()
            self.steppers[player].watch = probe.measure

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read what was measured, the epoch's last training step being done."""
        seen = {player: probe.read() for player, probe in self.probes.items()}
        for kind in ("gradient", "update"):
            layers = {f"{player}.{name}": size for player in seen for name, size in seen[player][kind].items()}
            append_measurements({kind: layers}, self.measurements, self.n_epochs)
        self.n_epochs += 1

    def metrics(self) -> dict[str, float]:
        """Return what the last epoch's metrics are beside those of the family."""
        return diagnostic_metrics(self.measurements, self.n_epochs - 1)

    def alarms(self, metrics_by_epoch: MetricsByEpoch) -> tuple[Finding, ...]:
        """Return what cannot wait for the end: that records are alike at a second look in a row, or no longer are."""
        if "val/diversity" not in metrics_by_epoch[-1]:
            return ()
        seen = [row["val/diversity"] for row in metrics_by_epoch if "val/diversity" in row]
        alike = [diversity < COLLAPSE_RATIO for diversity in seen]
        if alike[-2:] == [True, True] and alike[-3:] != [True, True, True]:
            return tuple(filter(None, [self._check_collapse(metrics_by_epoch)]))
        if alike[-3:] == [True, True, False]:
            text = f"samples differ by {seen[-1]:.0%} of what real rows do in epoch {len(metrics_by_epoch)}"
            return (Finding("mode_collapse", "hint", f"{text}: the mode collapse is over"),)
        return ()

    def build_diagnosis(self, metrics_by_epoch: MetricsByEpoch) -> Diagnosis:
        """Return what there is to say of a training with these metrics by epoch."""
        found = tuple(
            filter(
                None,
                [
                    self._check_collapse(metrics_by_epoch),
                    self._check_translation(metrics_by_epoch),
                    self._check_discriminator_gradient(),
                ],
            )
        )
        return Diagnosis(found, None, {"gradient": {}} | self.measurements)

    def suggest_remedy(self, metrics_by_epoch: MetricsByEpoch) -> str:
        """Return what to do about a loss that is not finite."""
        lr = self.params.training.optimizer.lr
        return f"lower training.optimizer.lr (now {lr:g}) or network.discriminator_lr_factor, or set training.gradient_clip_norm"

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {"epochs": self.n_epochs, "measured": self.measurements}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a checkpoint stood."""
        self.n_epochs, self.measurements = state_dict["epochs"], state_dict["measured"]

    def _check_collapse(self, metrics_by_epoch: MetricsByEpoch) -> Finding | None:
        """Say that made records are alike, since when, and what may help."""
        seen = [
            (epoch + 1, row["val/diversity"]) for epoch, row in enumerate(metrics_by_epoch) if "val/diversity" in row
        ]
        since = math.inf
        for epoch, diversity in reversed(seen):
            if diversity >= COLLAPSE_RATIO:
                break
            since = epoch
        if since is math.inf:
            return None
        return Finding(
            "mode_collapse",
            "problem",
            f"samples differ by {seen[-1][1]:.0%} of what real rows do since epoch {since}: mode collapse; try"
            f" {self._collapse_remedies()}",
        )

    def _check_translation(self, metrics_by_epoch: MetricsByEpoch) -> Finding | None:
        """Say that images stay what they are, which loses nothing on the way back, and what may help."""
        seen = [row["val/kid"] for row in metrics_by_epoch if "val/translation_score" in row]
        if not seen or seen[-1] < UNTRANSLATED_RATIO:
            return None
        network = self.params.network.model_dump()
        return Finding(
            "untranslated",
            "problem",
            f"translated images are still {seen[-1]:.0%} of the classes' distance from real ones; try a smaller"
            f" network.lambda_cycle (now {network['cycle']:g}), network.lambda_identity (now {network['identity']:g}) or"
            f" network.discriminator_lr_factor (now {network['critic_rate']:g})",
        )

    def _collapse_remedies(self) -> str:
        network = self.params.network.model_dump()
        tried = [] if network["loss"]["name"].startswith("wasserstein") else ["network.loss wasserstein_gp"]
        if self.params.network.family == "cyclegan":
            tried.append(f"a larger network.lambda_cycle (now {network['cycle']:g})")
        else:
            tried += ["network.norm spectral"] if network["norm"] != "spectral" else []
            tried += ["network.r1"] if not network["r1"] else []
        return join_with_or([*tried, f"a lower training.optimizer.lr (now {self.params.training.optimizer.lr:g})"])

    def _check_discriminator_gradient(self) -> Finding | None:
        """Say that the critic no longer leads the generator: its gradient is next to nothing of what it was."""
        norms = self._gradient_norms("generator")
        most = max(norms, default=0.0)
        left = median(norms[-3:]) if norms else 0.0
        if not most or left >= VANISHING_RATIO * most:
            return None
        network = self.params.network.model_dump()
        tried = ["network.loss non_saturating"] if network["loss"]["name"] == "minimax" else []
        tried += [f"a lower network.discriminator_lr_factor (now {network['critic_rate']:g})", "network.instance_noise"]
        return Finding(
            "vanishing_critic",
            "problem",
            f"the gradient that the critic gives the generator is {left / most:.1g} times its largest: the critic is so"
            f" sure of itself that nothing can be learnt from it; try {join_with_or(tried)}",
        )

    def _gradient_norms(self, network_name: str) -> list[float]:
        """Return the norm of the gradient of all layers of a player in each epoch in which there was one."""
        layers = [v for name, v in self.measurements.get("gradient", {}).items() if name.startswith(f"{network_name}.")]
        return [
            math.hypot(*sizes) for epoch in zip(*layers, strict=True) if (sizes := [s for s in epoch if s is not None])
        ]
