"""`fivefold lr-find`: learning rate range test of a model, its plot and the suggested learning rate."""

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


def find_lr(name: str) -> Iterator[str]:
    """Run the range test of model `name`; yield the path of the plot and the suggestion.

    Raises:
        ArtifactError: the stages before training have not run.
        TrainingError: the loss does not decrease at any learning rate.
        ParamsError: there is no such model, or it is adversarial and has more than one loss.
    """
    params = load_params()
    model = params.model(name)
    if model.network.family in ("gan", "cyclegan"):
        raise ParamsError(
            f"fivefold lr-find needs a single training loss, but models.{name} is a {model.network.family}, whose"
            " generator and discriminator have one each; try learning rates from 0.0001 to 0.001"
        )
    data_folder, pipeline_file = paths.prepared_dir(model.dataset), paths.selected_dir(name) / "preprocess.safetensors"
    if not pipeline_file.exists() or not data_folder.exists():
        raise ArtifactError(
            f"{pipeline_file.parent} and {data_folder} must exist, but do not; run `dvc repro select_features@{name}`"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")  # hints about disabled features
        pretrained = load_registered(name, model.training.pretrained)
        sweep = run_sweep(name, model, load_dataset(data_folder), Pipeline.load(pipeline_file), params.seed, pretrained)
    plot_file = paths.lr_plot_file(name)
    try:
        learning_rate = suggest_lr(name, sweep)
    except TrainingError:
        plot_sweep(name, sweep, None, plot_file)
        yield f"plot: {plot_file}"
        raise
    plot_sweep(name, sweep, learning_rate, plot_file)
    yield f"plot: {plot_file}"
    yield from suggestion_lines(name, read_yaml(), model.training.optimizer, learning_rate)


@mpl.rc_context(STYLE)  # legends read rcParams when they are created
def plot_sweep(name: str, sweep: SweepResult, learning_rate: float | None, path: Path) -> None:
    """Plot the sweep, with the suggested learning rate if there is one."""
    fig, axes = make_figure()
    smoothed = sweep.smoothed_losses[np.isfinite(sweep.smoothed_losses)]
    axes.semilogx(sweep.learning_rates, sweep.losses, linewidth=0.7, alpha=0.4, label="raw loss")
    axes.semilogx(sweep.learning_rates[: len(smoothed)], smoothed, label="smoothed")
    if learning_rate:
        axes.axvline(learning_rate, color="black", linestyle="--", linewidth=1, label=f"suggested: {learning_rate:g}")
    low, high = smoothed.min(), smoothed[: max(1, len(smoothed) // 2)].max()
    axes.set(xlabel="learning rate", ylabel="training loss", ylim=(low - 0.1 * (high - low), high + 0.5 * (high - low)))
    axes.legend()
    set_title(fig, f"{name}: learning rate range test")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(fig, path)


def suggestion_lines(name: str, tree: Any, optimizer: OptimizerConfig, learning_rate: float) -> Iterator[str]:
    """Yield how to set `learning_rate` for a model; `tree` is params.yaml, `optimizer` the current settings."""
    key = f"models.{name}.training.optimizer.lr"
    settings = {**optimizer.model_dump(mode="json", exclude_defaults=True), "lr": f"{learning_rate:g}"}
    yield f"{key}: {optimizer.lr:g} now, {learning_rate:g} suggested"
    yield f"in params.yaml: optimizer: {{{', '.join(f'{k}: {v}' for k, v in settings.items())}}}"
    overrides = tree["models"][name]["training"] or {}
    prefix = "" if "lr" in overrides.get("optimizer", {}) else "+"  # DVC's prefix for keys missing in params.yaml
    yield f"or to try it: dvc exp run -S '{prefix}{key}={learning_rate:g}' evaluate@{name}"
