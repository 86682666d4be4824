"""Find out why a network does not learn, phrase remedies, and compute statistics of the training data.

Shapes: n rows, k classes or values, q quantiles.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import median

import torch
from torch import Tensor

from ...config.training import BCELoss, HuberLoss, MeanErrorLoss, QuantileLoss
from ...data.schema import Schema
from ...models.losses import Loss, MultiTaskLoss, SupervisedLoss
from .summary import Finding, InputStats, TrainingSummary

MIN_TOTAL_UPDATE = 0.02
"""Minimum update ratio, summed over all steps, with which a network can learn anything."""
VANISHING_RATIO = 1e-3
"""Ratio of gradients, first to last layer or first steps to largest, below which gradients vanish."""
MAX_DEAD_FRACTION = 0.5
"""Maximum fraction of dead units of a layer."""
MIN_LOSS_DECREASE = 0.02
"""Decrease of the training loss, in units of `constant_loss`, from which training makes progress."""

CONSTANT_PREDICTION_TEXT = "where a constant prediction has"
"""Follows a loss in a message, and is followed by `constant_loss`."""


def find_cause(summary: TrainingSummary) -> Finding:
    """Return the most probable reason why the network of a training did not learn."""
    best = min(summary.val_losses)
    prefix = f"val/loss is {best:.3g} at best, {CONSTANT_PREDICTION_TEXT} {summary.input_stats.constant_loss:.3g}"
    fraction, layer = _max_dead_fraction(summary)
    if fraction > 0.95:
        return Finding("dead_units", "problem", f"{prefix}, and {_describe_dead_units(summary, fraction, layer)}")
    first, last, ratio = _gradient_ratio(summary)
    if ratio < VANISHING_RATIO:
        return Finding(
            "vanishing_gradients",
            "problem",
            f"{prefix}, and the gradient of {first} is {ratio:.1g} times that of {last}: vanishing gradients; try"
            f" {_suggest_settings(summary, ('activation relu', 'init kaiming', 'norm batch'), 'fewer layers')}",
        )
    if _total_update(summary) < MIN_TOTAL_UPDATE:
        update = _total_update(summary) / summary.steps_per_epoch / len(summary.train_losses)
        return Finding(
            "lr_too_low",
            "problem",
            f"{prefix}, and a step changes weights by {update:.1g} of their size: learning rate too low; raise"
            f" training.optimizer.lr (now {summary.lr:g})",
        )
    layer, ratio = _lowest_early_gradient_ratio(summary)
    if ratio < VANISHING_RATIO:
        settings = applicable_settings(summary, "cell lstm", "cell gru", "pool mean")
        return Finding(
            "vanishing_through_time",
            "problem",
            f"{prefix}, and {ratio:.1g} of the gradient of {layer} reaches the first steps of a sequence: gradients"
            f" vanish through time; try {join_with_or([*settings, 'shorter sequences'])}",
        )
    is_last_epoch_best = summary.val_losses.index(best) == len(summary.val_losses) - 1
    decrease = summary.train_losses[0] - summary.train_losses[-1]
    if is_last_epoch_best and decrease > MIN_LOSS_DECREASE * summary.input_stats.constant_loss:
        return Finding(
            "lr_too_low",
            "problem",
            f"{prefix}, but still falls in the last epoch: training is too slow; raise training.optimizer.lr"
            f" (now {summary.lr:g}) or training.max_epochs (now {summary.max_epochs})",
        )
    return Finding(
        "no_learning",
        "problem",
        f"{prefix}: the network learned nothing; try another training.optimizer.lr (now {summary.lr:g}), a wider"
        " network, or better features",
    )


def _gradient_ratio(summary: TrainingSummary) -> tuple[str, str, float]:
    """Return first and last layer, and the ratio of the medians over epochs of their gradient norms."""
    norms = [
        (layer, measured)
        for layer, values in summary.measurements.get("gradient_norm", {}).items()
        if (measured := _drop_none(values))
    ]
    if len(norms) < 2:
        return "", "", 1.0
    (first, first_norms), (last, last_norms) = norms[0], norms[-1]
    last_median = median(last_norms)
    return first, last, median(first_norms) / last_median if last_median else 1.0


def _lowest_early_gradient_ratio(summary: TrainingSummary) -> tuple[str, float]:
    """Return the recurrent layer with the lowest median early-gradient ratio, and this ratio."""
    ratios = {
        layer: median(measured)
        for layer, values in summary.measurements.get("early_gradient_ratio", {}).items()
        if (measured := _drop_none(values))
    }
    return min(ratios.items(), key=lambda item: item[1], default=("", 1.0))


def _total_update(summary: TrainingSummary) -> float:
    """Return the largest median update ratio of a layer, multiplied by the number of steps of the training."""
    ratios = [
        median(measured)
        for values in summary.measurements.get("update_ratio", {}).values()
        if (measured := _drop_none(values))
    ]
    return max(ratios, default=1.0) * summary.steps_per_epoch * len(summary.train_losses)


def _max_dead_fraction(summary: TrainingSummary) -> tuple[float, str]:
    """Return the largest fraction of dead units in the last epochs, and its layer."""
    fractions = [
        (median(measured[-3:]), layer)
        for layer, values in summary.measurements.get("dead_fraction", {}).items()
        if (measured := _drop_none(values))
    ]
    return max(fractions, default=(0.0, ""))


def _describe_dead_units(summary: TrainingSummary, fraction: float, layer: str) -> str:
    units = f"{fraction:.0%} of the units of {layer}"
    lower_lr = f"a lower training.optimizer.lr (now {summary.lr:g})"
    if summary.network_params.get("activation") in ("sigmoid", "tanh"):
        remedies = _suggest_settings(summary, ("activation relu", "init xavier"), lower_lr)
        return f"{units} are saturated for all rows; try {remedies}"
    remedies = _suggest_settings(summary, ("activation leaky_relu", "init kaiming"), lower_lr)
    return f"{units} are 0 for all rows; try {remedies}"


def _suggest_settings(summary: TrainingSummary, settings: Sequence[str], alternative: str) -> str:
    """Return the settings that would change the network, and the alternative; after zero initialization only `init`."""
    if summary.network_params.get("init") == "zeros":
        init = next(setting for setting in settings if setting.startswith("init "))
        return f"network.{init}: units with zero initial weights remain identical"
    return join_with_or([*applicable_settings(summary, *settings), alternative])


def check_dead_units(summary: TrainingSummary) -> Iterator[Finding]:
    """Yield a hint if most units of a layer are dead although the network learns."""
    fraction, layer = _max_dead_fraction(summary)
    if fraction > MAX_DEAD_FRACTION:
        yield Finding("dead_units", "hint", _describe_dead_units(summary, fraction, layer))


def _drop_none(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def applicable_settings(summary: TrainingSummary, *settings: str) -> list[str]:
    """Return those of `settings`, such as `activation relu` or `dropout`, that would change the network."""
    parsed = [(setting, *setting.partition(" ")[::2]) for setting in settings]
    network = summary.network_params
    if network.get("hidden") == []:  # the settings concern hidden layers
        return []
    return [f"network.{setting}" for setting, key, value in parsed if key in network and network[key] != value]


def join_with_or(remedies: Sequence[str]) -> str:
    """Return `a, b or c`."""
    return " or ".join(filter(None, (", ".join(remedies[:-1]), remedies[-1])))


MAX_ROWS = 2048
"""Maximum number of rows for the statistics of features and targets."""
MAX_OUTPUTS = 2**22
"""Maximum number of outputs for the loss of a constant prediction."""

TensorPair = tuple[Tensor, Tensor]


def compute_input_stats(
    schema: Schema,
    feature_names: tuple[str, ...],
    train: TensorPair,
    validation: TensorPair,
    criterion: Loss,
    *,
    is_balanced: bool,
) -> InputStats:
    """Return statistics of preprocessed features and of targets.

    feature_names: may be empty.
    is_balanced: whether training weights the classes equally.
    """
    rms = _feature_rms(schema, train[0])
    max_index = int(rms.argmax()) if rms is not None else 0
    targets = criterion.primary_target(train[1]) if isinstance(criterion, MultiTaskLoss) else train[1]
    counts = torch.bincount(targets, minlength=criterion.n_classes).tolist() if criterion.n_classes else []
    if schema.task == "language_modeling":  # many tokens of a vocabulary may be missing
        counts = []
    return InputStats(
        kind=schema.kind,
        median_rms=None if rms is None else float(rms[rms > 0].median()) if rms.any() else 0.0,
        max_rms=None if rms is None else float(rms[max_index]),
        max_rms_feature=feature_names[max_index] if max_index < len(feature_names) else str(max_index),
        missing_classes=tuple(label for label, count in zip(schema.classes, counts, strict=False) if not count),
        has_constant_target=bool((targets == targets[0]).all()),
        input_size=train[0].shape[1] if schema.kind == "table" else math.prod(schema.shape),
        constant_loss=constant_prediction_loss(criterion, train[1], validation[1], is_balanced=is_balanced),
    )


def _feature_rms(schema: Schema, x: Tensor) -> Tensor | None:
    """Return the root mean square of each feature, or of each channel of images; None for tokens."""
    if schema.vocabulary:
        return None
    sample = x[:: max(1, len(x) // MAX_ROWS)].double()
    axis = 1 if schema.kind == "images" and x.ndim == 4 else x.ndim - 1
    return sample.square().mean([dim for dim in range(x.ndim) if dim != axis]).sqrt()


def constant_prediction_loss(criterion: Loss, train: Tensor, validation: Tensor, *, is_balanced: bool) -> float:
    """Return the loss on validation targets of the constant prediction that fits the training targets best."""
    if not isinstance(criterion, SupervisedLoss | MultiTaskLoss):
        sample = validation[:: 1 + validation.numel() // MAX_OUTPUTS]
        loss: float = criterion.constant_prediction_loss(train, sample)  # type: ignore[operator]
        return loss
    outputs = _fit_constant_output(criterion, train, is_balanced=is_balanced).to(validation.device)
    targets = validation[:: 1 + len(validation) * len(outputs) // MAX_OUTPUTS]
    return float(criterion(outputs.expand(len(targets), -1), targets).detach())


def _fit_constant_output(criterion: SupervisedLoss | MultiTaskLoss, y: Tensor, *, is_balanced: bool) -> Tensor:
    """Return the constant outputs (k,) that minimize the loss of the targets."""
    if isinstance(criterion, MultiTaskLoss):
        columns = [column[~column.isnan()] for column in y.T]
        return torch.cat(
            [
                _fit_constant_output(loss, c.long() if loss.n_classes else c[:, None], is_balanced=is_balanced)
                for loss, c in zip((criterion.primary, *criterion.auxiliary), columns, strict=True)
            ]
        )
    if criterion.n_classes:
        counts = torch.bincount(y, minlength=criterion.n_classes).float()
        frequencies = ((counts > 0).float() if is_balanced else counts) + 1e-3
        frequencies = frequencies / frequencies.sum()
        return frequencies[1:].logit() if isinstance(criterion.config, BCELoss) else frequencies.log()
    sample = y[:: max(1, len(y) // MAX_ROWS)]
    match criterion.config:
        case QuantileLoss():
            return sample.quantile(criterion.quantiles.to(y.device), dim=0).T.flatten()  # (q, k) -> (k * q,)
        case MeanErrorLoss(name="mae") | HuberLoss():
            return sample.median(dim=0).values
    return y.mean(dim=0)
