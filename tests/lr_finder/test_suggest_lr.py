"""The rule by which a rate is suggested, on curves whose lowest point is known; what is said of it."""

import numpy as np
import pytest

from fivefold.config.optimizers import Adam
from fivefold.data.dataset import Array
from fivefold.errors import TrainingError
from fivefold.lr_finder.find import suggestion_lines
from fivefold.lr_finder.sweep import MAX_LR, MIN_LR, NUM_STEPS, SweepResult, exponential_moving_average, suggest_lr

RATES = np.geomspace(MIN_LR, MAX_LR, NUM_STEPS)
NOISE = np.random.default_rng(0).normal(size=NUM_STEPS)


def seen(losses: Array, resting: float = 1.0) -> SweepResult:
    return SweepResult(RATES[: len(losses)], losses, np.full(len(losses), resting))


def valley(best: float) -> Array:
    return np.minimum(1.0, 0.2 + 0.4 * np.abs(np.log10(RATES / best)))


@pytest.mark.parametrize("best", [1e-3, 1e-2, 0.3])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_tenth_of_the_lowest_is_suggested(best: float, noise: float) -> None:
    losses = valley(best) + noise * NOISE
    found = suggest_lr("m", seen(losses))
    assert found == float(f"{RATES[exponential_moving_average(losses).argmin()] / 10:.1e}")
    assert best / 10 <= found < best * 0.4  # smoothing lags by less than a power of ten


def test_that_a_batch_is_hard_says_nothing_of_the_rate() -> None:
    """Losses of few rows differ more than any rate could change them; those of the same rows at rest differ alike."""
    hard = 2 * np.abs(NOISE)
    found = suggest_lr("m", SweepResult(RATES, valley(0.01) + hard, 1 + hard))
    assert found == suggest_lr("m", seen(valley(0.01)))


def test_smoothing_is_the_weighted_mean_of_all_before() -> None:
    losses = np.array([3.0, 1.0, 4.0])
    weights = 0.9 ** np.arange(3)[::-1]
    assert exponential_moving_average(losses)[2] == pytest.approx((weights * losses).sum() / weights.sum())
    assert exponential_moving_average(np.full(50, 7.0)) == pytest.approx(np.full(50, 7.0))


def test_a_fall_at_the_end_of_the_sweep_counts() -> None:
    falling = np.where(RATES < 1, 1.0, 1 - 0.5 * np.log10(np.maximum(RATES, 1)))
    assert suggest_lr("m", seen(falling)) == 1.0


def test_a_fall_counts_where_a_lower_loss_behind_it_may_be_chance() -> None:
    losses = np.where((RATES > 1e-3) & (RATES < 1e-2), 0.7, 1.0)
    losses[-5:] -= 2 * np.array([0, 1, 0, 1.5, 0])
    assert 1e-4 <= suggest_lr("m", seen(losses)) < 1e-3


LEVEL = (
    r"\Athe loss of m must fall at some rate from 1e-07 to [\d.e-]+, but is [\d.e+]+ at the smallest.*; look at what"
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
    ids=["level", "noise", "rises", "explodes at once", "not finite"],
)
def test_a_loss_that_falls_nowhere_is_said(losses: Array) -> None:
    with pytest.raises(TrainingError, match=LEVEL):
        suggest_lr("m", seen(losses, losses[0]))


def test_noise_is_not_taken_for_a_fall() -> None:
    """Of sweeps that are noise alone, none."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        with pytest.raises(TrainingError):
            suggest_lr("m", seen(1 + rng.normal(size=NUM_STEPS)))


def test_a_sweep_ends_by_what_the_loss_is_at_rest_not_by_its_first_batch() -> None:
    easy = np.where(RATES[0] == RATES, 0.01, 1.0)
    assert not SweepResult(RATES, easy, easy).has_diverged
    assert SweepResult(RATES, easy + 40 * (RATES[-1] == RATES), easy).has_diverged
    assert SweepResult(RATES, np.where(RATES[-1] == RATES, np.nan, 1.0), easy).has_diverged


@pytest.mark.parametrize(
    ("own", "new"), [({"optimizer": {"lr": 1}}, ""), ({"optimizer": {}}, "+"), ({"max_epochs": 3}, "+"), (None, "+")]
)
def test_the_suggestion_stands_in_the_words_of_params_yaml_and_of_dvc(own: object, new: str) -> None:
    told = list(
        suggestion_lines(
            "m", {"models": {"m": {"training": own}}}, Adam(name="adamw", lr=0.003, weight_decay=0.1), 2e-5
        )
    )
    assert told == [
        "models.m.training.optimizer.lr: 0.003 now, 2e-05 suggested",
        "in params.yaml: optimizer: {name: adamw, lr: 2e-05, weight_decay: 0.1}",
        f"or to try it: dvc exp run -S '{new}models.m.training.optimizer.lr=2e-05' evaluate@m",
    ]
