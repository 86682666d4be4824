"""Rules on made-up histories: each fires on its own disease, and none on health."""

import json
from dataclasses import replace
from typing import Any

import pytest

from fivefold.training.diagnostics.rules import diagnose, suggest_non_finite_remedy
from fivefold.training.diagnostics.summary import (
    Diagnosis,
    Finding,
    InputStats,
    Measurements,
    TrainingSummary,
    diagnostic_metrics,
)

N = 20
FALLING = [0.6 * 0.6**i + 0.05 for i in range(N)]
LEVEL = [0.7] * N
INPUTS = InputStats(
    kind="table",
    median_rms=1.0,
    max_rms=1.2,
    max_rms_feature="age",
    missing_classes=(),
    has_constant_target=False,
    input_size=8,
    constant_loss=0.69,
)
HEALTHY = TrainingSummary(
    train_losses=FALLING,
    val_losses=[loss + 0.02 for loss in FALLING],
    measurements={
        "gradient": {"first": [0.5] * N, "middle": [0.6] * N, "last": [0.7] * N},
        "update": {"first": [1e-3] * N, "middle": [1e-3] * N, "last": [None] + [1e-3] * (N - 1)},
        "dead": {"relu": [0.1] * N},
    },
    input_stats=INPUTS,
    dataset="d",
    steps_per_epoch=10,
    max_epochs=N,
    lr=0.01,
    network_params={"activation": "relu", "dropout": 0.0, "init": "xavier", "cell": "rnn", "pool": "last"},
)


def found(course: TrainingSummary) -> dict[str, str]:
    return {finding.rule: finding.message for finding in diagnose(course)}


def with_inputs(**changes: Any) -> TrainingSummary:
    return replace(HEALTHY, input_stats=replace(INPUTS, **changes))


def measured(kind: str, **layers: list[float]) -> Measurements:
    return {**HEALTHY.measurements, kind: dict(layers)}


def test_health_is_said_in_one_line() -> None:
    checkup = Diagnosis(diagnose(HEALTHY), 0.69)
    assert checkup.summary_lines() == ["the doctor found nothing wrong"]


@pytest.mark.parametrize(
    ("variant", "latent", "told"),
    [
        ("plain", 8, True),
        ("contractive", 9, True),
        ("variational", 8, True),
        ("plain", 7, False),
        ("sparse", 9, False),
        ("denoising", 9, False),
    ],
)
def test_a_code_that_is_no_shorter_than_a_record_is_told(variant: str, latent: int, told: bool) -> None:
    network = {"family": "autoencoder", "latent": latent, "variant": {"name": variant}}
    text = (
        f"a code has {latent} numbers where a record has 8: it may be copied; lower network.latent_dim (now {latent}), or"
        " choose network.variant denoising or sparse"
    )
    assert diagnose(replace(HEALTHY, network_params=network)) == ((Finding("long_code", "hint", text),) if told else ())


@pytest.mark.parametrize("epochs", range(1, 8))
def test_a_short_healthy_training_is_healthy(epochs: int) -> None:
    assert found(replace(HEALTHY, train_losses=FALLING[:epochs], val_losses=FALLING[:epochs], max_epochs=N)) == {}


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"largest": 1e4}, "feature age has the size 1e+04 where 1 is good"),
        ({"largest": 1e-3, "typical": 1e-3}, "the largest feature has the size 0.001 where 1 is good"),
        ({"typical": 1e-3}, "feature age has the size 1.2, the middle one 0.001"),
    ],
)
def test_input_that_is_not_scaled(changes: dict[str, float], start: str) -> None:
    text = f"{start}: the input is not scaled; set datasets.d.normalize to standard"
    assert found(with_inputs(**changes)) == {"input_not_scaled": text}
    assert suggest_non_finite_remedy(with_inputs(**changes)) == text


def test_what_follows_from_unscaled_input_is_not_told_beside_it() -> None:
    assert list(found(replace(with_inputs(largest=1e4), train_losses=[1, 9e9, 1e3], val_losses=[1, 1, 1]))) == [
        "input_not_scaled"
    ]


def test_tokens_have_no_size() -> None:
    assert found(with_inputs(typical=None, largest=None)) == {}


def test_a_target_of_one_value() -> None:
    course = with_inputs(single=True, constant=0.0)
    assert found(replace(course, train_losses=[0.0] * N, val_losses=[0.0] * N))["one_target"].startswith(
        "all training rows have the same target: there is nothing to learn"
    )


def test_a_class_without_training_rows() -> None:
    text = found(with_inputs(absent=("cat", "dog")))["unseen_class"]
    assert text.startswith("no training row is of class cat, dog: it cannot be learnt; set datasets.d.split.by")


def test_overfitting_names_the_epoch_and_the_remedies() -> None:
    rising = FALLING[:12] + [FALLING[11] + 0.03 * i for i in range(1, N - 11)]
    assert found(replace(HEALTHY, val_losses=rising)) == {
        "overfitting": "val/loss rises since epoch 12, from 0.0522 to 0.262, while train/loss falls: overfitting; try"
        " network.dropout, training.optimizer.weight_decay or more rows"
    }


def test_augmentation_is_a_remedy_for_images_alone_and_dropout_for_who_has_it() -> None:
    rising = FALLING[:12] + [0.3] * (N - 12)
    course = replace(HEALTHY, val_losses=rising, input_stats=replace(INPUTS, kind="images"), network_params={})
    assert "try training.optimizer.weight_decay, training.augment or more rows" in found(course)["overfitting"]


def test_dropout_is_no_remedy_without_hidden_layers() -> None:
    rising = FALLING[:12] + [FALLING[11] + 0.03 * i for i in range(1, N - 11)]
    course = replace(HEALTHY, val_losses=rising, network_params={"hidden": [], "dropout": 0.0})
    assert "try training.optimizer.weight_decay or more rows" in found(course)["overfitting"]


def test_a_gap_that_was_there_from_the_start() -> None:
    far = [0.4 + 0.1 * loss for loss in FALLING]
    assert found(replace(HEALTHY, val_losses=far))["overfitting"].startswith("in the best epoch train/loss is")


def test_a_rise_that_training_shares_is_no_overfitting() -> None:
    rising = FALLING[:12] + [0.3] * (N - 12)
    assert found(replace(HEALTHY, val_losses=rising, train_losses=rising)) == {}


def test_a_rate_too_high_is_an_explosion_or_an_oscillation() -> None:
    exploded = [*FALLING[:5], 40.0, *FALLING[6:]]
    assert found(replace(HEALTHY, train_losses=exploded))["rate_too_high"] == (
        "train/loss is 40 in epoch 6, where the same guess for all rows has 0.69: learning rate too high;"
        " lower training.optimizer.lr (now 0.01) or set training.gradient_clip_norm"
    )
    restless = [0.3, 0.6] * (N // 2)
    assert found(replace(HEALTHY, train_losses=restless, has_gradient_clipping=True))["rate_too_high"] == (
        "train/loss goes up in 10 of 19 epochs and changes by 0.3 each: learning rate too high;"
        " lower training.optimizer.lr (now 0.01)"
    )


def test_a_first_epoch_may_be_bad() -> None:
    assert found(replace(HEALTHY, train_losses=[30.0, *FALLING[1:]])) == {}


def test_nothing_learnt_without_a_sign_why() -> None:
    assert found(replace(HEALTHY, train_losses=LEVEL, val_losses=LEVEL)) == {
        "nothing_learnt": "val/loss is 0.7 at best, where the same guess for all rows has 0.69: nothing was learnt;"
        " try another training.optimizer.lr (now 0.01), a wider network, or better features"
    }


@pytest.mark.parametrize(
    ("rule", "changed", "words"),
    [
        (
            "rate_too_low",
            measured("update", first=[1e-7] * N),
            "a step moves weights by 1e-07 of their size: learning rate too low; raise training.optimizer.lr",
        ),
        (
            "vanishing_gradients",
            measured("gradient", first=[1e-9] * N, last=[0.1] * N),
            "the gradient of first is 1e-08 times that of last: gradients vanish; try network.init kaiming or fewer",
        ),
        (
            "vanishing_over_time",
            measured("reach", cell=[1e-8] * N, other=[0.5] * N),
            "of the gradient of cell 1e-08 reaches the first steps of a record: gradients vanish over time; try"
            " network.cell lstm, network.cell gru, network.pool mean or shorter records",
        ),
        (
            "dead_units",
            measured("dead", relu=[1.0] * N, other=[0.2] * N),
            "100% of the units of relu are 0 for all rows; try network.activation leaky_relu, network.init kaiming or",
        ),
    ],
)
def test_nothing_learnt_and_why(rule: str, changed: Measurements, words: str) -> None:
    text = found(replace(HEALTHY, train_losses=LEVEL, val_losses=LEVEL, measurements=changed))
    assert list(text) == [rule]
    assert words in text[rule]
    assert rule == "dead_units" or found(replace(HEALTHY, measurements=changed)) == {}  # who learns is left in peace


@pytest.mark.parametrize(
    ("activation", "changed", "init"),
    [
        ("relu", measured("dead", relu=[1.0] * N), "kaiming"),
        ("tanh", measured("dead", tanh=[1.0] * N), "xavier"),
        ("silu", measured("gradient", first=[0.0] * N, last=[0.1] * N), "kaiming"),
    ],
)
def test_weights_that_began_at_0_have_one_remedy(activation: str, changed: Measurements, init: str) -> None:
    network = {**HEALTHY.network_params, "activation": activation, "init": "zero", "norm": "none"}
    (text,) = found(
        replace(HEALTHY, train_losses=LEVEL, val_losses=LEVEL, measurements=changed, network_params=network)
    ).values()
    assert text.endswith(f"; try network.init {init}: units whose weights are all 0 at first stay alike")


def test_a_loss_that_falls_slowly_towards_a_constant_s() -> None:
    slow = [2.0 - 0.01 * i for i in range(N)]
    text = found(replace(HEALTHY, train_losses=slow, val_losses=slow))["rate_too_low"]
    assert text.endswith(
        "falls to the last epoch: learning is too slow; raise training.optimizer.lr (now 0.01) or training.max_epochs"
        f" (now {N})"
    )


def test_few_validation_rows_may_suit_a_constant_by_chance() -> None:
    assert list(found(replace(HEALTHY, train_losses=[0.9, *[0.7] * (N - 1)], val_losses=[0.64] * N))) == [
        "nothing_learnt"
    ]


def test_dead_units_of_a_network_that_learns_are_a_hint() -> None:
    dead = replace(HEALTHY, measurements=measured("dead", tanh=[0.0] * (N - 3) + [0.8] * 3))
    (finding,) = diagnose(replace(dead, network_params={"activation": "tanh", "init": "kaiming"}))
    assert (finding.rule, finding.level) == ("dead_units", "hint")
    assert finding.message == (
        "80% of the units of tanh are at their bounds for all rows; try network.activation relu, network.init xavier"
        " or a lower training.optimizer.lr (now 0.01)"
    )


def test_who_is_stopped_while_it_still_falls_was_trained_too_shortly() -> None:
    slope = [1.0 - 0.04 * i for i in range(N)]
    assert found(replace(HEALTHY, train_losses=slope, val_losses=slope)) == {
        "too_short": "val/loss still fell by 40% in the last 4 epochs, to 0.24: train longer; raise"
        " training.max_epochs (now 20) or training.optimizer.lr (now 0.01)"
    }
    assert found(replace(HEALTHY, train_losses=slope, val_losses=slope, max_epochs=50)) == {}  # stopped by patience


def test_a_loss_that_is_not_finite_has_its_remedies() -> None:
    course = replace(HEALTHY, train_losses=[0.5, 12.0], val_losses=[0.5, 12.0])
    assert suggest_non_finite_remedy(course) == (
        "lower training.optimizer.lr (now 0.01) or set training.gradient_clip_norm; train/loss was 12 in the epoch before"
    )
    assert suggest_non_finite_remedy(replace(course, train_losses=[], has_gradient_clipping=True, precision="16")) == (
        "lower training.optimizer.lr (now 0.01) or set training.precision to bf16"
    )


def test_what_is_kept_is_what_was_found() -> None:
    checkup = Diagnosis((Finding("overfitting", "hint", "do less"),), 0.69, HEALTHY.measurements)
    assert checkup.summary_lines() == ["doctor, hint: do less"]
    assert json.loads(checkup.to_json()) == {
        "findings": [{"rule": "overfitting", "level": "hint", "text": "do less"}],
        "constant_loss": 0.69,
        "measured": HEALTHY.measurements,
    }


def test_metrics_of_an_epoch_leave_out_what_was_not_measured() -> None:
    some: Measurements = {
        "gradient": {"a": [0.5, None], "b": [0.1, 0.2]},
        "update": {"a": [1, 1]},
        "dead": {"r": [0, 0.3]},
    }
    assert diagnostic_metrics(some, 0) == {"doctor/gradient/a": 0.5, "doctor/gradient/b": 0.1, "doctor/dead/r": 0}
    assert diagnostic_metrics(some, 1) == {"doctor/gradient/b": 0.2, "doctor/dead/r": 0.3}
