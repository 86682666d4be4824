"""The doctor beside a contest: says at the end whether the generator makes the same record again and again."""

import math
from collections.abc import Sequence

import pytorch_lightning as pl

from ...params.models import Model
from .course import Checkup, Finding, Inputs

ALIKE = 0.25
"""Mean distance of made records, in that of real ones, below which the generator has collapsed."""

AWAY = 0.5
"""Distance of translated images from real ones, in that of the two classes, from which nothing has been translated."""

Epochs = Sequence[dict[str, float]]


class Referee(pl.Callback):
    """Looks at nothing by itself: what it speaks of stands among the metrics."""

    inputs: Inputs | None

    def __init__(self, params: Model) -> None:
        self.params = params

    def metrics(self) -> dict[str, float]:
        """Return what the last epoch's metrics are beside those of the family: nothing."""
        return {}

    def checkup(self, epochs: Epochs) -> Checkup:
        """Return what there is to say of a training with these metrics by epoch."""
        return Checkup(
            tuple(filter(None, [self._collapse(epochs), self._untranslated(epochs)])), None, {"gradient": {}}
        )

    def remedy(self, epochs: Epochs) -> str:
        """Return what to do about a loss that is not finite."""
        lr = self.params.training.optimizer.lr
        return f"lower training.optimizer.lr (now {lr:g}) or network.critic_rate, or set training.gradient_clip"

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
        tried = []
        if not network["loss"]["name"].startswith("wasserstein"):
            tried.append("network.loss wasserstein_gp")
        if self.params.network.family == "cyclegan":
            tried.append(f"a larger network.cycle (now {network['cycle']:g})")
        else:
            tried += ["network.norm spectral"] if network["norm"] != "spectral" else []
            tried += ["network.r1"] if not network["r1"] else []
        tried.append(f"a lower training.optimizer.lr (now {self.params.training.optimizer.lr:g})")
        return f"{', '.join(tried[:-1])} or {tried[-1]}"
