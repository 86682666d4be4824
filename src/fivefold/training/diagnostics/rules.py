"""Diagnose a training by rules on its losses and measurements: pure functions without findings on a good training.

Losses are compared with `constant_loss`, the loss of a constant prediction: that of a network that learns is lower.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import fmean, median

from .causes import CONSTANT_PREDICTION_TEXT, applicable_settings, check_dead_units, find_cause, join_with_or
from .summary import Finding, TrainingSummary

MAX_RMS = 30.0
"""Root mean square of a feature above which the input is not scaled."""
MIN_RMS = 0.01
"""Largest root mean square of a feature below which the input is not scaled."""
MAX_RMS_RATIO = 100.0
"""Ratio of the largest to the median root mean square above which the input is not scaled."""
LEARNED_RATIO = 0.98
"""Ratio of the best loss to `constant_loss` from which the network has not learned."""
FLAT_RANGE = 0.02
"""Range of a loss, in units of `constant_loss`, below which it does not change."""
EXPLOSION_RATIO = 5.0
"""Loss, in units of `constant_loss`, above which training diverges; the first epoch is ignored."""
OSCILLATION_RATIO = 0.15
"""Mean change per epoch, in units of `constant_loss`, from which a loss oscillates if it rises in a third of epochs."""
MAX_VAL_INCREASE = 0.2
"""Relative increase of the validation loss after its best epoch above which a network overfits."""
MIN_LOSS_CHANGE = 0.05
"""Change of a loss, in units of `constant_loss`, that is regarded as relevant."""
MAX_GENERALIZATION_GAP = 0.3
"""Difference of validation and training loss, in units of `constant_loss`, above which a network overfits."""
MIN_VAL_DECREASE = 0.05
"""Relative decrease of the validation loss in the last fifth of the epochs above which training is too short."""
BOTTLENECK_VARIANTS = ("plain", "contractive", "variational")
"""Autoencoder variants whose latent space must have fewer dimensions than the input."""
MIN_EPOCHS = 5
"""Number of epochs from which trends are evaluated."""


def diagnose(summary: TrainingSummary) -> tuple[Finding, ...]:
    """Return the findings of a training, causes first; consequences of a cause are not reported with it."""
    findings = [*_check_inputs(summary)]
    if not any(finding.rule == "unscaled_input" for finding in findings):
        findings += _check_failure(summary) or [
            *_check_overfitting(summary),
            *_check_undertraining(summary),
            *check_dead_units(summary),
        ]
    return tuple(findings)


def suggest_non_finite_remedy(summary: TrainingSummary) -> str:
    """Return the remedy for a loss that is not finite."""
    for finding in _check_inputs(summary):
        if finding.rule == "unscaled_input":
            return finding.message
    remedies = [f"lower training.optimizer.lr (now {summary.lr:g})"]
    remedies += [] if summary.has_gradient_clipping else ["set training.gradient_clip_norm"]
    remedies += ["set training.precision to bf16"] if summary.precision == "16" else []
    losses = [loss for loss in summary.train_losses if math.isfinite(loss)]
    previous = f"; train/loss was {losses[-1]:.3g} in the epoch before" if losses else ""
    return f"{join_with_or(remedies)}{previous}"


def _check_inputs(summary: TrainingSummary) -> Iterator[Finding]:
    inputs, remedy = summary.input_stats, f"set datasets.{summary.dataset}.normalize to standard"
    if inputs.has_constant_target:
        yield Finding(
            "constant_target",
            "problem",
            f"all training rows have the same target: there is nothing to learn; split datasets.{summary.dataset}"
            " differently, or choose another target",
        )
    if inputs.missing_classes:
        names = ", ".join(inputs.missing_classes[:5]) + (", ..." if len(inputs.missing_classes) > 5 else "")
        yield Finding(
            "missing_class",
            "hint",
            f"class {names} has no training rows: it cannot be learned; set datasets.{summary.dataset}.split.by to"
            " stratified, or add rows",
        )
    yield from _check_latent_size(summary)
    if inputs.max_rms is None or inputs.median_rms is None:
        return
    problem = ""
    if inputs.max_rms > MAX_RMS:
        problem = f"feature {inputs.max_rms_feature} has the root mean square {inputs.max_rms:.3g}, expected about 1"
    elif inputs.max_rms < MIN_RMS:
        problem = f"the largest root mean square of a feature is {inputs.max_rms:.2g}, expected about 1"
    elif inputs.max_rms > MAX_RMS_RATIO * inputs.median_rms:
        problem = (
            f"feature {inputs.max_rms_feature} has the root mean square {inputs.max_rms:.3g}, the median feature"
            f" {inputs.median_rms:.2g}"
        )
    if problem:
        yield Finding("unscaled_input", "problem", f"{problem}: the input is not scaled; {remedy}")


def _check_latent_size(summary: TrainingSummary) -> Iterator[Finding]:
    """Yield a hint if the latent space of an autoencoder is large enough to copy the input."""
    network, input_size = summary.network_params, summary.input_stats.input_size
    latent_dim, variant = network.get("latent_dim", 0), network.get("variant", {}).get("name")
    if variant in BOTTLENECK_VARIANTS and latent_dim >= input_size:
        yield Finding(
            "latent_too_large",
            "hint",
            f"the latent space has {latent_dim} dimensions and a sample {input_size} values, so that it can be copied;"
            f" lower network.latent_dim (now {latent_dim}), or choose network.variant denoising or sparse",
        )


def _check_failure(summary: TrainingSummary) -> list[Finding]:
    """Return the finding of a training that failed; empty if it did not fail."""
    if summary.input_stats.constant_loss <= 0 or summary.input_stats.has_constant_target or not summary.val_losses:
        return []
    lower = f"lower training.optimizer.lr (now {summary.lr:g})"
    remedies = join_with_or([lower] if summary.has_gradient_clipping else [lower, "set training.gradient_clip_norm"])
    if problem := _describe_explosion(summary) or _describe_oscillation(summary):
        return [Finding("lr_too_high", "problem", f"{problem}: learning rate too high; {remedies}")]
    return [find_cause(summary)] if _has_not_learned(summary) else []


def _has_not_learned(summary: TrainingSummary) -> bool:
    """Return whether the network is no better than a constant prediction, or its loss has not changed."""
    unit, n = summary.input_stats.constant_loss, len(summary.train_losses)
    if summary.steps_per_epoch * n < MIN_EPOCHS:
        return False
    best = min(summary.val_losses) / unit
    if best >= LEARNED_RATIO or n < 3:
        return best >= LEARNED_RATIO
    is_flat = best > 0.5 and _loss_range(summary.train_losses) < FLAT_RANGE * unit
    # the loss of a constant prediction on few validation rows may be low by chance
    is_low_by_chance = best > 0.9 and _loss_range(summary.train_losses[1:]) < MIN_LOSS_CHANGE * unit
    return is_flat or is_low_by_chance


def _describe_explosion(summary: TrainingSummary) -> str:
    """Return a description of a training loss that rises far above its minimum; empty if it does not."""
    unit, losses = summary.input_stats.constant_loss, summary.train_losses
    for epoch in range(1, len(losses)):
        best = min(losses[:epoch])
        if losses[epoch] > EXPLOSION_RATIO * unit or losses[epoch] > max(unit, 3 * best):
            worst = max(losses)
            return (
                f"train/loss is {worst:.3g} in epoch {losses.index(worst) + 1}, {CONSTANT_PREDICTION_TEXT} {unit:.3g}"
            )
    return ""


def _describe_oscillation(summary: TrainingSummary) -> str:
    if len(summary.train_losses) < MIN_EPOCHS:
        return ""
    changes = [after - before for before, after in zip(summary.train_losses, summary.train_losses[1:], strict=False)]
    n_increases = sum(change > 0 for change in changes)
    mean_change = fmean(map(abs, changes))
    if n_increases * 3 < len(changes) or mean_change < OSCILLATION_RATIO * summary.input_stats.constant_loss:
        return ""
    return f"train/loss rises in {n_increases} of {len(changes)} epochs, with a mean change of {mean_change:.2g}"


def _check_overfitting(summary: TrainingSummary) -> Iterator[Finding]:
    """Yield a hint if the validation loss rises while the training loss falls, or is far above it."""
    unit, train, val = summary.input_stats.constant_loss, summary.train_losses, summary.val_losses
    if len(val) < MIN_EPOCHS:
        return
    remedies = [*applicable_settings(summary, "dropout"), "training.optimizer.weight_decay"]
    remedies += ["training.augment"] if summary.input_stats.kind in ("images", "sequences") else []
    remedy = f"try {join_with_or([*remedies, 'more rows'])}"
    best = min(range(len(val)), key=val.__getitem__)
    last_val, last_train = median(val[-3:]), median(train[-3:])
    increase = last_val - val[best]
    if (
        best < len(val) - 3
        and increase > max(MAX_VAL_INCREASE * val[best], MIN_LOSS_CHANGE * unit)
        and last_train < train[best]
    ):
        yield Finding(
            "overfitting",
            "hint",
            f"val/loss rises after epoch {best + 1}, from {val[best]:.3g} to {last_val:.3g}, while train/loss falls:"
            f" overfitting; {remedy}",
        )
    elif val[best] - train[best] > MAX_GENERALIZATION_GAP * unit and train[best] < val[best] / 2:
        yield Finding(
            "overfitting",
            "hint",
            f"in the best epoch train/loss is {train[best]:.3g} but val/loss {val[best]:.3g}: overfitting; {remedy}",
        )


def _check_undertraining(summary: TrainingSummary) -> Iterator[Finding]:
    """Yield a hint if the validation loss still falls at the end of `max_epochs`."""
    val = summary.val_losses
    if len(val) < max(MIN_EPOCHS, summary.max_epochs) or min(val) != val[-1]:
        return
    span = -(-len(val) // 5)
    best_before = min(val[:-span])
    decrease = best_before - val[-1]
    if decrease > max(MIN_VAL_DECREASE * best_before, FLAT_RANGE * summary.input_stats.constant_loss):
        yield Finding(
            "undertrained",
            "hint",
            f"val/loss still fell by {decrease / best_before:.0%} in the last {span} epochs, to {val[-1]:.3g}: train"
            f" longer; raise training.max_epochs (now {summary.max_epochs}) or training.optimizer.lr (now"
            f" {summary.lr:g})",
        )


def _loss_range(losses: Sequence[float]) -> float:
    return max(losses) - min(losses)
