"""From the name of a model to the learning rate that suits it.

What `fivefold lr` shows of a sweep.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from .. import paths
from ..config.loading import load_params, read_yaml
from ..config.optimizers import OptimizerConfig
from ..data.storage import load_dataset
from ..errors import ArtifactError, ParamsError, TrainingError
from ..plotting import STYLE, make_figure, save_figure, set_title
from ..preprocessing.pipeline import Pipeline
from ..tracking.pretrained import load_registered
from .sweep import SweepResult, run_sweep, suggest_lr


def suggestion_lines(name: str, tree: Any, optimizer: OptimizerConfig, learning_rate: float) -> Iterator[str]:
    """Yield how to have model `name` trained at `rate`; `tree` is params.yaml, `optimizer` what the model has now."""
    key = f"models.{name}.training.optimizer.lr"
    given = {**optimizer.model_dump(mode="json", exclude_defaults=True), "lr": f"{learning_rate:g}"}
    yield f"{key}: {optimizer.lr:g} now, {learning_rate:g} suggested"
    yield f"in params.yaml: optimizer: {{{', '.join(f'{k}: {v}' for k, v in given.items())}}}"
    own = tree["models"][name]["training"] or {}
    new = "" if "lr" in own.get("optimizer", {}) else "+"  # what DVC wants before a key that is not there yet
    yield f"or to try it: dvc exp run -S '{new}{key}={learning_rate:g}' evaluate@{name}"


@mpl.rc_context(STYLE)  # a legend asks for it when it is made
def plot_sweep(name: str, sweep: SweepResult, learning_rate: float | None, path: Path) -> None:
    """Write a picture of the sweep, with the suggested rate if there is one."""
    fig, axes = make_figure()
    smoothed = sweep.smoothed_losses[np.isfinite(sweep.smoothed_losses)]
    axes.semilogx(sweep.learning_rates, sweep.losses, linewidth=0.7, alpha=0.4, label="each step")
    axes.semilogx(sweep.learning_rates[: len(smoothed)], smoothed, label="smoothed")
    if learning_rate:
        axes.axvline(learning_rate, color="black", linestyle="--", linewidth=1, label=f"suggested: {learning_rate:g}")
    low, high = smoothed.min(), smoothed[: max(1, len(smoothed) // 2)].max()
    axes.set(xlabel="learning rate", ylabel="training loss", ylim=(low - 0.1 * (high - low), high + 0.5 * (high - low)))
    axes.legend()
    set_title(fig, f"{name}: loss as the learning rate grows from step to step")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(fig, path)


def find_lr(name: str) -> Iterator[str]:
    """Sweep over the rates of model `name`; yield where the picture lies, and what is suggested.

    Raises:
        ArtifactError: the stages before training have not run.
        TrainingError: the loss does not fall at any rate.
        ParamsError: there is no such model, or it learns from another network and not down a loss.
    """
    params = load_params()
    model = params.model(name)
    if model.network.family in ("gan", "cyclegan"):
        raise ParamsError(
            f"fivefold lr follows one loss, but models.{name} is a {model.network.family}, whose players have one each;"
            " try rates from 0.0001 to 0.001"
        )
    source, chain = paths.prepared_dir(model.dataset), paths.selected_dir(name) / "preprocess.safetensors"
    if not chain.exists() or not source.exists():
        raise ArtifactError(
            f"{chain.parent} and {source} must be there to train on, but are not; run"
            f" `dvc repro select_features@{name}`"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")  # hints about parts that are switched off
        start = load_registered(name, model.training.pretrained)
        seen = run_sweep(name, model, load_dataset(source), Pipeline.load(chain), params.seed, start)
    picture = paths.lr_plot_file(name)
    try:
        rate = suggest_lr(name, seen)
    except TrainingError:
        plot_sweep(name, seen, None, picture)
        yield f"picture: {picture}"
        raise
    plot_sweep(name, seen, rate, picture)
    yield f"picture: {picture}"
    yield from suggestion_lines(name, read_yaml(), model.training.optimizer, rate)
