"""From what was measured to what is wrong: pure functions, each rule silent on a training that goes well.

Losses are judged in units of `constant`, the loss of telling the same for all rows: a network that has learnt is below.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import fmean, median

from .causes import CONSTANT_PREDICTION_TEXT, applicable_settings, check_dead_units, find_cause, join_with_or
from .summary import Finding, TrainingSummary

MAX_RMS = 30.0
"""Root mean square of a feature from which it is not scaled."""
MIN_RMS = 0.01
"""The same of the largest feature, below which they are not."""
MAX_RMS_RATIO = 100.0
"""Times the middle feature's size from which another one drowns it."""
LEARNED_RATIO = 0.98
"""Share of `constant` that the best loss must be below."""
FLAT_RANGE = 0.02
"""Range of a loss, in `constant`, that is no movement."""
EXPLOSION_RATIO = 5.0
"""Loss, in `constant`, that only steps too large lead to, once a first epoch is over."""
OSCILLATION_RATIO = 0.15
"""Mean change of the loss from epoch to epoch, in `constant`, that is an oscillation if a third of them are upwards."""
MAX_VAL_INCREASE = 0.2
"""What validation loss may rise by after its best epoch, as a share of it."""
MIN_LOSS_CHANGE = 0.05
"""The same in `constant`: less is no harm, and of a fall no success."""
MAX_GENERALIZATION_GAP = 0.3
"""What validation loss may be above training loss, in `constant`."""
MIN_VAL_DECREASE = 0.05
"""What validation loss may still fall by in the last fifth of the epochs, as a share of it."""
BOTTLENECK_VARIANTS = ("plain", "contractive", "variational")
"""Variants of an autoencoder whose code is to be shorter than a record."""
MIN_EPOCHS = 5
"""Epochs from which a trend can be seen."""


def diagnose(summary: TrainingSummary) -> tuple[Finding, ...]:
    """Return what is wrong, causes first; what follows from a cause is not told beside it."""
    found = [*_check_inputs(summary)]
    if not any(finding.rule == "input_not_scaled" for finding in found):
        found += _check_failure(summary) or [
            *_check_overfitting(summary),
            *_check_undertraining(summary),
            *check_dead_units(summary),
        ]
    return tuple(found)


def suggest_non_finite_remedy(summary: TrainingSummary) -> str:
    """Return the remedy where a loss is not finite."""
    for finding in _check_inputs(summary):
        if finding.rule == "input_not_scaled":
            return finding.message
    remedies = [f"lower training.optimizer.lr (now {summary.lr:g})"]
    remedies += [] if summary.has_gradient_clipping else ["set training.gradient_clip_norm"]
    remedies += ["set training.precision to bf16"] if summary.precision == "16" else []
    before = [loss for loss in summary.train_losses if math.isfinite(loss)]
    last = f"; train/loss was {before[-1]:.3g} in the epoch before" if before else ""
    return f"{join_with_or(remedies)}{last}"


def _check_inputs(summary: TrainingSummary) -> Iterator[Finding]:
    inputs, remedy = summary.input_stats, f"set datasets.{summary.dataset}.normalize to standard"
    if inputs.has_constant_target:
        yield Finding(
            "one_target",
            "problem",
            f"all training rows have the same target: there is nothing to learn; split datasets.{summary.dataset}"
            " another way, or choose another target",
        )
    if inputs.missing_classes:
        names = ", ".join(inputs.missing_classes[:5]) + (", ..." if len(inputs.missing_classes) > 5 else "")
        yield Finding(
            "unseen_class",
            "hint",
            f"no training row is of class {names}: it cannot be learnt; set datasets.{summary.dataset}.split.by to"
            " stratified, or bring more rows",
        )
    yield from _check_latent_size(summary)
    if inputs.max_rms is None or inputs.median_rms is None:
        return
    what = ""
    if inputs.max_rms > MAX_RMS:
        what = f"feature {inputs.max_rms_feature} has the size {inputs.max_rms:.3g} where 1 is good"
    elif inputs.max_rms < MIN_RMS:
        what = f"the largest feature has the size {inputs.max_rms:.2g} where 1 is good"
    elif inputs.max_rms > MAX_RMS_RATIO * inputs.median_rms:
        what = f"feature {inputs.max_rms_feature} has the size {inputs.max_rms:.3g}, the middle one {inputs.median_rms:.2g}"
    if what:
        yield Finding("input_not_scaled", "problem", f"{what}: the input is not scaled; {remedy}")


def _check_latent_size(summary: TrainingSummary) -> Iterator[Finding]:
    """Tell of an autoencoder whose code is no shorter than a record, and that is meant to be short."""
    latent, variant = summary.network_params.get("latent", 0), summary.network_params.get("variant", {}).get("name")
    if variant in BOTTLENECK_VARIANTS and latent >= summary.input_stats.input_size:
        yield Finding(
            "long_code",
            "hint",
            f"a code has {latent} numbers where a record has {summary.input_stats.input_size}: it may be copied; lower"
            f" network.latent_dim (now {latent}), or choose network.variant denoising or sparse",
        )


def _check_failure(summary: TrainingSummary) -> list[Finding]:
    """Return why a training failed, if it did."""
    if summary.input_stats.constant_loss <= 0 or summary.input_stats.has_constant_target or not summary.val_losses:
        return []
    lower = f"lower training.optimizer.lr (now {summary.lr:g})"
    remedies = join_with_or([lower] if summary.has_gradient_clipping else [lower, "set training.gradient_clip_norm"])
    if text := _describe_explosion(summary) or _describe_oscillation(summary):
        return [Finding("rate_too_high", "problem", f"{text}: learning rate too high; {remedies}")]
    return [find_cause(summary)] if _has_not_learned(summary) else []


def _has_not_learned(summary: TrainingSummary) -> bool:
    """Say whether the network tells no more than a constant, or is as it was when it began."""
    unit, n = summary.input_stats.constant_loss, len(summary.train_losses)
    if summary.steps_per_epoch * n < MIN_EPOCHS:
        return False
    best = min(summary.val_losses) / unit
    if best >= LEARNED_RATIO or n < 3:
        return best >= LEARNED_RATIO
    stays = best > 0.5 and _loss_range(summary.train_losses) < FLAT_RANGE * unit
    by_chance = (
        best > 0.9 and _loss_range(summary.train_losses[1:]) < MIN_LOSS_CHANGE * unit
    )  # few validation rows may suit by chance
    return stays or by_chance


def _describe_explosion(summary: TrainingSummary) -> str:
    """Say that steps led away from what was reached."""
    unit, losses = summary.input_stats.constant_loss, summary.train_losses
    for epoch in range(1, len(losses)):
        before = min(losses[:epoch])
        if losses[epoch] > EXPLOSION_RATIO * unit or losses[epoch] > max(unit, 3 * before):
            worst = max(losses)
            return (
                f"train/loss is {worst:.3g} in epoch {losses.index(worst) + 1}, {CONSTANT_PREDICTION_TEXT} {unit:.3g}"
            )
    return ""


def _describe_oscillation(summary: TrainingSummary) -> str:
    if len(summary.train_losses) < MIN_EPOCHS:
        return ""
    changes = [after - before for before, after in zip(summary.train_losses, summary.train_losses[1:], strict=False)]
    upwards = sum(change > 0 for change in changes)
    size = fmean(map(abs, changes))
    if upwards * 3 < len(changes) or size < OSCILLATION_RATIO * summary.input_stats.constant_loss:
        return ""
    return f"train/loss goes up in {upwards} of {len(changes)} epochs and changes by {size:.2g} each"


def _check_overfitting(summary: TrainingSummary) -> Iterator[Finding]:
    """Tell of a network that learns the training rows and not the others."""
    unit, train, val = summary.input_stats.constant_loss, summary.train_losses, summary.val_losses
    if len(val) < MIN_EPOCHS:
        return
    remedies = [*applicable_settings(summary, "dropout"), "training.optimizer.weight_decay"]
    remedies += ["training.augment"] if summary.input_stats.kind in ("images", "sequences") else []
    remedy = f"try {join_with_or([*remedies, 'more rows'])}"
    best = min(range(len(val)), key=val.__getitem__)
    end, learnt = median(val[-3:]), median(train[-3:])
    rise = end - val[best]
    if (
        best < len(val) - 3
        and rise > max(MAX_VAL_INCREASE * val[best], MIN_LOSS_CHANGE * unit)
        and learnt < train[best]
    ):
        yield Finding(
            "overfitting",
            "hint",
            f"val/loss rises since epoch {best + 1}, from {val[best]:.3g} to {end:.3g}, while train/loss falls:"
            f" overfitting; {remedy}",
        )
    elif val[best] - train[best] > MAX_GENERALIZATION_GAP * unit and train[best] < val[best] / 2:
        yield Finding(
            "overfitting",
            "hint",
            f"in the best epoch train/loss is {train[best]:.3g} but val/loss {val[best]:.3g}: overfitting; {remedy}",
        )


def _check_undertraining(summary: TrainingSummary) -> Iterator[Finding]:
    """Tell of a validation loss that is still on its way."""
    val = summary.val_losses
    if len(val) < max(MIN_EPOCHS, summary.max_epochs) or min(val) != val[-1]:
        return
    span = -(-len(val) // 5)
    before = min(val[:-span])
    fall = before - val[-1]
    if fall > max(MIN_VAL_DECREASE * before, FLAT_RANGE * summary.input_stats.constant_loss):
        yield Finding(
            "too_short",
            "hint",
            f"val/loss still fell by {fall / before:.0%} in the last {span} epochs, to {val[-1]:.3g}: train longer;"
            f" raise training.max_epochs (now {summary.max_epochs}) or training.optimizer.lr (now {summary.lr:g})",
        )


def _loss_range(losses: Sequence[float]) -> float:
    return max(losses) - min(losses)
