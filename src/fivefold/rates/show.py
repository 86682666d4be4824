"""What `fivefold lr` shows of a sweep."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from ..config.optimizers import Optimizer
from ..plotting import STYLE, figure, save, title
from .sweep import Sweep


def lines(name: str, tree: Any, optimizer: Optimizer, rate: float) -> Iterator[str]:
    """Yield how to have model `name` trained at `rate`; `tree` is params.yaml, `optimizer` what the model has now."""
    key = f"models.{name}.training.optimizer.lr"
    given = {**optimizer.model_dump(mode="json", exclude_defaults=True), "lr": f"{rate:g}"}
    yield f"{key}: {optimizer.lr:g} now, {rate:g} suggested"
    yield f"in params.yaml: optimizer: {{{', '.join(f'{k}: {v}' for k, v in given.items())}}}"
    own = tree["models"][name]["training"] or {}
    new = "" if "lr" in own.get("optimizer", {}) else "+"  # what DVC wants before a key that is not there yet
    yield f"or to try it: dvc exp run -S '{new}{key}={rate:g}' evaluate@{name}"


@mpl.rc_context(STYLE)  # a legend asks for it when it is made
def draw(name: str, sweep: Sweep, rate: float | None, path: Path) -> None:
    """Write a picture of the sweep, with the suggested rate if there is one."""
    fig, axes = figure()
    smoothed = sweep.smoothed[np.isfinite(sweep.smoothed)]
    axes.semilogx(sweep.rates, sweep.losses, linewidth=0.7, alpha=0.4, label="each step")
    axes.semilogx(sweep.rates[: len(smoothed)], smoothed, label="smoothed")
    if rate:
        axes.axvline(rate, color="black", linestyle="--", linewidth=1, label=f"suggested: {rate:g}")
    low, high = smoothed.min(), smoothed[: max(1, len(smoothed) // 2)].max()
    axes.set(xlabel="learning rate", ylabel="training loss", ylim=(low - 0.1 * (high - low), high + 0.5 * (high - low)))
    axes.legend()
    title(fig, f"{name}: loss as the learning rate grows from step to step")
    path.parent.mkdir(parents=True, exist_ok=True)
    save(fig, path)
