"""The suggestion rule on curves with a known minimum, and its output."""

import numpy as np
import pytest

from fivefold.config.optimizers import Adam
from fivefold.data.dataset import Array
from fivefold.errors import TrainingError
from fivefold.lr_finder.find import suggestion_lines
from fivefold.lr_finder.sweep import MAX_LR, MIN_LR, NUM_STEPS, SweepResult, exponential_moving_average, suggest_lr

RATES = np.geomspace(MIN_LR, MAX_LR, NUM_STEPS)
NOISE = np.random.default_rng(0).normal(size=NUM_STEPS)


def sweep_result(losses: Array, baseline: float = 1.0) -> SweepResult:
    return SweepResult(RATES[: len(losses)], losses, np.full(len(losses), baseline))


def valley(best: float) -> Array:
    return np.minimum(1.0, 0.2 + 0.4 * np.abs(np.log10(RATES / best)))


@pytest.mark.parametrize("best", [1e-3, 1e-2, 0.3])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_tenth_of_the_minimum_is_suggested(best: float, noise: float) -> None:
    losses = valley(best) + noise * NOISE
    suggestion = suggest_lr("m", sweep_result(losses))
    assert suggestion == float(f"{RATES[exponential_moving_average(losses).argmin()] / 10:.1e}")
    assert best / 10 <= suggestion < best * 0.4  # smoothing lags by less than a decade


def test_the_difficulty_of_batches_does_not_change_the_suggestion() -> None:
    """Losses of small batches vary more than by the learning rate, but baseline losses of the same rows vary alike."""
    difficulty = 2 * np.abs(NOISE)
    suggestion = suggest_lr("m", SweepResult(RATES, valley(0.01) + difficulty, 1 + difficulty))
    assert suggestion == suggest_lr("m", sweep_result(valley(0.01)))


def test_smoothing_is_the_weighted_mean_of_previous_losses() -> None:
    losses = np.array([3.0, 1.0, 4.0])
    weights = 0.9 ** np.arange(3)[::-1]
    assert exponential_moving_average(losses)[2] == pytest.approx((weights * losses).sum() / weights.sum())
    assert exponential_moving_average(np.full(50, 7.0)) == pytest.approx(np.full(50, 7.0))


def test_a_decrease_at_the_end_of_the_sweep_counts() -> None:
    falling = np.where(RATES < 1, 1.0, 1 - 0.5 * np.log10(np.maximum(RATES, 1)))
    assert suggest_lr("m", sweep_result(falling)) == 1.0


def test_a_significant_decrease_precedes_a_lower_but_noisy_loss() -> None:
    losses = np.where((RATES > 1e-3) & (RATES < 1e-2), 0.7, 1.0)
    losses[-5:] -= 2 * np.array([0, 1, 0, 1.5, 0])
    assert 1e-4 <= suggest_lr("m", sweep_result(losses)) < 1e-3


NO_DECREASE = (
    r"\Athe loss of m must decrease at a learning rate from 1e-07 to [\d.e-]+, but is [\d.e+]+ at the smallest and at"
    r" best [\d.e+]+; check the warnings of `prepare`, or choose another normalize, or another init or activation under"
    r" models\.m\.network\Z"
)


@pytest.mark.parametrize(
    "losses",
    [
        np.full(NUM_STEPS, 0.7),
        0.7 + 0.1 * NOISE,
        np.where(RATES < 1e-2, 0.7, 0.7 * RATES / 1e-2),
        np.full(3, 1e6),
        np.append(np.full(60, 0.7), np.nan),
    ],
    ids=["constant", "noise", "increases", "diverges at once", "not finite"],
)
def test_a_loss_that_never_decreases_raises(losses: Array) -> None:
    with pytest.raises(TrainingError, match=NO_DECREASE):
        suggest_lr("m", sweep_result(losses, losses[0]))


def test_noise_is_not_a_decrease() -> None:
    """No sweep of pure noise has a suggestion."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        with pytest.raises(TrainingError):
            suggest_lr("m", sweep_result(1 + rng.normal(size=NUM_STEPS)))


def test_divergence_is_relative_to_the_mean_baseline() -> None:
    easy = np.where(RATES[0] == RATES, 0.01, 1.0)
    assert not SweepResult(RATES, easy, easy).has_diverged
    assert SweepResult(RATES, easy + 40 * (RATES[-1] == RATES), easy).has_diverged
    assert SweepResult(RATES, np.where(RATES[-1] == RATES, np.nan, 1.0), easy).has_diverged


@pytest.mark.parametrize(
    ("training", "prefix"),
    [({"optimizer": {"lr": 1}}, ""), ({"optimizer": {}}, "+"), ({"max_epochs": 3}, "+"), (None, "+")],
)
def test_suggestion_lines_are_valid_for_params_yaml_and_dvc(training: object, prefix: str) -> None:
    lines = list(
        suggestion_lines(
            "m", {"models": {"m": {"training": training}}}, Adam(name="adamw", lr=0.003, weight_decay=0.1), 2e-5
        )
    )
    assert lines == [
        "models.m.training.optimizer.lr: 0.003 now, 2e-05 suggested",
        "in params.yaml: optimizer: {name: adamw, lr: 2e-05, weight_decay: 0.1}",
        f"or to try it: dvc exp run -S '{prefix}models.m.training.optimizer.lr=2e-05' evaluate@m",
    ]
