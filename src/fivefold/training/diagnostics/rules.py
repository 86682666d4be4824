"""From what was measured to what is wrong: pure functions, each rule silent on a training that goes well.

Losses are judged in units of `constant`, the loss of telling the same for all rows: a network that has learnt is below.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import fmean, median

from .causes import GUESS, cause, dead_units, either, offered
from .summary import Course, Finding

LARGE = 30.0
"""Root mean square of a feature from which it is not scaled."""
SMALL = 0.01
"""The same of the largest feature, below which they are not."""
UNLIKE = 100.0
"""Times the middle feature's size from which another one drowns it."""
LEARNT = 0.98
"""Share of `constant` that the best loss must be below."""
FLAT = 0.02
"""Range of a loss, in `constant`, that is no movement."""
EXPLODED = 5.0
"""Loss, in `constant`, that only steps too large lead to, once a first epoch is over."""
RESTLESS = 0.15
"""Mean change of the loss from epoch to epoch, in `constant`, that is an oscillation if a third of them are upwards."""
RISE = 0.2
"""What validation loss may rise by after its best epoch, as a share of it."""
CLIMB = 0.05
"""The same in `constant`: less is no harm, and of a fall no success."""
GAP = 0.3
"""What validation loss may be above training loss, in `constant`."""
FALL = 0.05
"""What validation loss may still fall by in the last fifth of the epochs, as a share of it."""
COMPRESSES = ("plain", "contractive", "variational")
"""Variants of an autoencoder whose code is to be shorter than a record."""
FEW = 5
"""Epochs from which a trend can be seen."""


def diagnose(course: Course) -> tuple[Finding, ...]:
    """Return what is wrong, causes first; what follows from a cause is not told beside it."""
    found = [*_inputs(course)]
    if not any(finding.rule == "input_not_scaled" for finding in found):
        found += _trouble(course) or [*_generalisation(course), *_too_short(course), *dead_units(course)]
    return tuple(found)


def not_finite(course: Course) -> str:
    """Return the remedy where a loss is not finite."""
    for finding in _inputs(course):
        if finding.rule == "input_not_scaled":
            return finding.text
    remedies = [f"lower training.optimizer.lr (now {course.lr:g})"]
    remedies += [] if course.limits else ["set training.gradient_clip"]
    remedies += ["set training.precision to bf16"] if course.precision == "16" else []
    before = [loss for loss in course.train if math.isfinite(loss)]
    last = f"; train/loss was {before[-1]:.3g} in the epoch before" if before else ""
    return f"{either(remedies)}{last}"


def _inputs(course: Course) -> Iterator[Finding]:
    inputs, remedy = course.inputs, f"set datasets.{course.dataset}.normalize to standard"
    if inputs.single:
        yield Finding(
            "one_target",
            "problem",
            f"all training rows have the same target: there is nothing to learn; split datasets.{course.dataset}"
            " another way, or choose another target",
        )
    if inputs.absent:
        names = ", ".join(inputs.absent[:5]) + (", ..." if len(inputs.absent) > 5 else "")
        yield Finding(
            "unseen_class",
            "hint",
            f"no training row is of class {names}: it cannot be learnt; set datasets.{course.dataset}.split.by to"
            " stratified, or bring more rows",
        )
    yield from _long_code(course)
    if inputs.largest is None or inputs.typical is None:
        return
    what = ""
    if inputs.largest > LARGE:
        what = f"feature {inputs.feature} has the size {inputs.largest:.3g} where 1 is good"
    elif inputs.largest < SMALL:
        what = f"the largest feature has the size {inputs.largest:.2g} where 1 is good"
    elif inputs.largest > UNLIKE * inputs.typical:
        what = f"feature {inputs.feature} has the size {inputs.largest:.3g}, the middle one {inputs.typical:.2g}"
    if what:
        yield Finding("input_not_scaled", "problem", f"{what}: the input is not scaled; {remedy}")


def _long_code(course: Course) -> Iterator[Finding]:
    """Tell of an autoencoder whose code is no shorter than a record, and that is meant to be short."""
    latent, variant = course.network.get("latent", 0), course.network.get("variant", {}).get("name")
    if variant in COMPRESSES and latent >= course.inputs.numbers:
        yield Finding(
            "long_code",
            "hint",
            f"a code has {latent} numbers where a record has {course.inputs.numbers}: it may be copied; lower"
            f" network.latent (now {latent}), or choose network.variant denoising or sparse",
        )


def _trouble(course: Course) -> list[Finding]:
    """Return why a training failed, if it did."""
    if course.inputs.constant <= 0 or course.inputs.single or not course.val:
        return []
    lower = f"lower training.optimizer.lr (now {course.lr:g})"
    remedies = either([lower] if course.limits else [lower, "set training.gradient_clip"])
    if text := _explosion(course) or _oscillation(course):
        return [Finding("rate_too_high", "problem", f"{text}: learning rate too high; {remedies}")]
    return [cause(course)] if _learnt_nothing(course) else []


def _learnt_nothing(course: Course) -> bool:
    """Say whether the network tells no more than a constant, or is as it was when it began."""
    unit, n = course.inputs.constant, len(course.train)
    if course.steps * n < FEW:
        return False
    best = min(course.val) / unit
    if best >= LEARNT or n < 3:
        return best >= LEARNT
    stays = best > 0.5 and _span(course.train) < FLAT * unit
    by_chance = best > 0.9 and _span(course.train[1:]) < CLIMB * unit  # few validation rows may suit by chance
    return stays or by_chance


def _explosion(course: Course) -> str:
    """Say that steps led away from what was reached."""
    unit, losses = course.inputs.constant, course.train
    for epoch in range(1, len(losses)):
        before = min(losses[:epoch])
        if losses[epoch] > EXPLODED * unit or losses[epoch] > max(unit, 3 * before):
            worst = max(losses)
            return f"train/loss is {worst:.3g} in epoch {losses.index(worst) + 1}, {GUESS} {unit:.3g}"
    return ""


def _oscillation(course: Course) -> str:
    if len(course.train) < FEW:
        return ""
    changes = [after - before for before, after in zip(course.train, course.train[1:], strict=False)]
    upwards = sum(change > 0 for change in changes)
    size = fmean(map(abs, changes))
    if upwards * 3 < len(changes) or size < RESTLESS * course.inputs.constant:
        return ""
    return f"train/loss goes up in {upwards} of {len(changes)} epochs and changes by {size:.2g} each"


def _generalisation(course: Course) -> Iterator[Finding]:
    """Tell of a network that learns the training rows and not the others."""
    unit, train, val = course.inputs.constant, course.train, course.val
    if len(val) < FEW:
        return
    remedies = [*offered(course, "dropout"), "training.optimizer.weight_decay"]
    remedies += ["training.augment"] if course.inputs.kind in ("images", "sequences") else []
    remedy = f"try {either([*remedies, 'more rows'])}"
    best = min(range(len(val)), key=val.__getitem__)
    end, learnt = median(val[-3:]), median(train[-3:])
    rise = end - val[best]
    if best < len(val) - 3 and rise > max(RISE * val[best], CLIMB * unit) and learnt < train[best]:
        yield Finding(
            "overfitting",
            "hint",
            f"val/loss rises since epoch {best + 1}, from {val[best]:.3g} to {end:.3g}, while train/loss falls:"
            f" overfitting; {remedy}",
        )
    elif val[best] - train[best] > GAP * unit and train[best] < val[best] / 2:
        yield Finding(
            "overfitting",
            "hint",
            f"in the best epoch train/loss is {train[best]:.3g} but val/loss {val[best]:.3g}: overfitting; {remedy}",
        )


def _too_short(course: Course) -> Iterator[Finding]:
    """Tell of a validation loss that is still on its way."""
    val = course.val
    if len(val) < max(FEW, course.max_epochs) or min(val) != val[-1]:
        return
    span = -(-len(val) // 5)
    before = min(val[:-span])
    fall = before - val[-1]
    if fall > max(FALL * before, FLAT * course.inputs.constant):
        yield Finding(
            "too_short",
            "hint",
            f"val/loss still fell by {fall / before:.0%} in the last {span} epochs, to {val[-1]:.3g}: train longer;"
            f" raise training.max_epochs (now {course.max_epochs}) or training.optimizer.lr (now {course.lr:g})",
        )


def _span(losses: Sequence[float]) -> float:
    return max(losses) - min(losses)
