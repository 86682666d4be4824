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
from .causes import VANISHED, either
from .probe import Probe, note
from .summary import Checkup, Finding, Inputs, Measured, metrics_of

ALIKE = 0.25
"""Mean distance of made records, in that of real ones, below which the generator has collapsed."""

AWAY = 0.5
"""Distance of translated images from real ones, in that of the two classes, from which nothing has been translated."""

Epochs = Sequence[dict[str, float]]


class Referee(pl.Callback):
    """Looks at the first step of each player in each epoch; must stand before callbacks that tell of the epoch."""

    inputs: Inputs | None
    probes: dict[str, Probe]

    def __init__(self, params: Model) -> None:
        self.params = params
        self.epochs = 0
        self.measured: Measured = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Meet the players, which lie on their device now."""
        self.steppers = pl_module.steppers
        self.probes = {
            player: Probe(pl_module.players[player], stepper.optimizer, inside=False)
            for player, stepper in self.steppers.items()
        }

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Watch the steps that come."""
        for player, probe in self.probes.items():
            probe.arm()
            self.steppers[player].watch = probe.look

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read what was measured, the epoch's last training step being done."""
        seen = {player: probe.read() for player, probe in self.probes.items()}
        for kind in ("gradient", "update"):
            layers = {f"{player}.{name}": size for player in seen for name, size in seen[player][kind].items()}
            note({kind: layers}, self.measured, self.epochs)
        self.epochs += 1

    def metrics(self) -> dict[str, float]:
        """Return what the last epoch's metrics are beside those of the family."""
        return metrics_of(self.measured, self.epochs - 1)

    def alarms(self, epochs: Epochs) -> tuple[Finding, ...]:
        """Return what cannot wait for the end: that records are alike at a second look in a row, or no longer are."""
        if "val/diversity" not in epochs[-1]:
            return ()
        seen = [row["val/diversity"] for row in epochs if "val/diversity" in row]
        alike = [diversity < ALIKE for diversity in seen]
        if alike[-2:] == [True, True] and alike[-3:] != [True, True, True]:
            return tuple(filter(None, [self._collapse(epochs)]))
        if alike[-3:] == [True, True, False]:
            text = f"samples differ by {seen[-1]:.0%} of what real rows do in epoch {len(epochs)}"
            return (Finding("mode_collapse", "hint", f"{text}: the mode collapse is over"),)
        return ()

    def checkup(self, epochs: Epochs) -> Checkup:
        """Return what there is to say of a training with these metrics by epoch."""
        found = tuple(filter(None, [self._collapse(epochs), self._untranslated(epochs), self._vanishing()]))
        return Checkup(found, None, {"gradient": {}} | self.measured)

    def remedy(self, epochs: Epochs) -> str:
        """Return what to do about a loss that is not finite."""
        lr = self.params.training.optimizer.lr
        return f"lower training.optimizer.lr (now {lr:g}) or network.critic_rate, or set training.gradient_clip"

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {"epochs": self.epochs, "measured": self.measured}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a checkpoint stood."""
        self.epochs, self.measured = state_dict["epochs"], state_dict["measured"]

    def _collapse(self, epochs: Epochs) -> Finding | None:
        """Say that made records are alike, since when, and what may help."""
        seen = [(epoch + 1, row["val/diversity"]) for epoch, row in enumerate(epochs) if "val/diversity" in row]
        since = math.inf
        for epoch, diversity in reversed(seen):
            if diversity >= ALIKE:
                break
            since = epoch
        if since is math.inf:
            return None
        return Finding(
            "mode_collapse",
            "problem",
            f"samples differ by {seen[-1][1]:.0%} of what real rows do since epoch {since}: mode collapse; try"
            f" {self._remedies()}",
        )

    def _untranslated(self, epochs: Epochs) -> Finding | None:
        """Say that images stay what they are, which loses nothing on the way back, and what may help."""
        seen = [row["val/kid"] for row in epochs if "val/translation" in row]
        if not seen or seen[-1] < AWAY:
            return None
        network = self.params.network.model_dump()
        return Finding(
            "untranslated",
            "problem",
            f"translated images are still {seen[-1]:.0%} of the classes' distance from real ones; try a smaller"
            f" network.cycle (now {network['cycle']:g}), network.identity (now {network['identity']:g}) or"
            f" network.critic_rate (now {network['critic_rate']:g})",
        )

    def _remedies(self) -> str:
        network = self.params.network.model_dump()
        tried = [] if network["loss"]["name"].startswith("wasserstein") else ["network.loss wasserstein_gp"]
        if self.params.network.family == "cyclegan":
            tried.append(f"a larger network.cycle (now {network['cycle']:g})")
        else:
            tried += ["network.norm spectral"] if network["norm"] != "spectral" else []
            tried += ["network.r1"] if not network["r1"] else []
        return either([*tried, f"a lower training.optimizer.lr (now {self.params.training.optimizer.lr:g})"])

    def _vanishing(self) -> Finding | None:
        """Say that the critic no longer leads the generator: its gradient is next to nothing of what it was."""
        norms = self._norms("generator")
        most = max(norms, default=0.0)
        left = median(norms[-3:]) if norms else 0.0
        if not most or left >= VANISHED * most:
            return None
        network = self.params.network.model_dump()
        tried = ["network.loss non_saturating"] if network["loss"]["name"] == "minimax" else []
        tried += [f"a lower network.critic_rate (now {network['critic_rate']:g})", "network.instance_noise"]
        return Finding(
            "vanishing_critic",
            "problem",
            f"the gradient that the critic gives the generator is {left / most:.1g} times its largest: the critic is so"
            f" sure of itself that nothing can be learnt from it; try {either(tried)}",
        )

    def _norms(self, player: str) -> list[float]:
        """Return the norm of the gradient of all layers of a player in each epoch in which there was one."""
        layers = [v for name, v in self.measured.get("gradient", {}).items() if name.startswith(f"{player}.")]
        return [
            math.hypot(*sizes) for epoch in zip(*layers, strict=True) if (sizes := [s for s in epoch if s is not None])
        ]
