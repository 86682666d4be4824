"""Rules on constructed histories: each finds its own problem, and a good training has no findings."""

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
        "gradient_norm": {"first": [0.5] * N, "middle": [0.6] * N, "last": [0.7] * N},
        "update_ratio": {"first": [1e-3] * N, "middle": [1e-3] * N, "last": [None] + [1e-3] * (N - 1)},
        "dead_fraction": {"relu": [0.1] * N},
    },
    input_stats=INPUTS,
    dataset="d",
    steps_per_epoch=10,
    max_epochs=N,
    lr=0.01,
    network_params={"activation": "relu", "dropout": 0.0, "init": "xavier", "cell": "rnn", "pool": "last"},
)


def findings(summary: TrainingSummary) -> dict[str, str]:
    return {finding.rule: finding.message for finding in diagnose(summary)}


def with_inputs(**changes: Any) -> TrainingSummary:
    return replace(HEALTHY, input_stats=replace(INPUTS, **changes))


def with_kind(kind: str, **layers: list[float]) -> Measurements:
    return {**HEALTHY.measurements, kind: dict(layers)}


def test_summary_of_a_good_training_is_one_line() -> None:
    assert Diagnosis(diagnose(HEALTHY), 0.69).summary_lines() == ["no training problems found"]


@pytest.mark.parametrize(
    ("variant", "latent_dim", "expected"),
    [
        ("plain", 8, True),
        ("contractive", 9, True),
        ("variational", 8, True),
        ("plain", 7, False),
        ("sparse", 9, False),
        ("denoising", 9, False),
    ],
)
def test_latent_space_that_can_copy_the_input_is_a_finding(variant: str, latent_dim: int, expected: bool) -> None:
    network = {"family": "autoencoder", "latent_dim": latent_dim, "variant": {"name": variant}}
    text = (
        f"the latent space has {latent_dim} dimensions and a sample 8 values, so that it can be copied; lower"
        f" network.latent_dim (now {latent_dim}), or choose network.variant denoising or sparse"
    )
    finding = Finding("latent_too_large", "hint", text)
    assert diagnose(replace(HEALTHY, network_params=network)) == ((finding,) if expected else ())


@pytest.mark.parametrize("epochs", range(1, 8))
def test_short_good_training_has_no_findings(epochs: int) -> None:
    assert findings(replace(HEALTHY, train_losses=FALLING[:epochs], val_losses=FALLING[:epochs], max_epochs=N)) == {}


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"max_rms": 1e4}, "feature age has the root mean square 1e+04, expected about 1"),
        ({"max_rms": 1e-3, "median_rms": 1e-3}, "the largest root mean square of a feature is 0.001, expected about 1"),
        ({"median_rms": 1e-3}, "feature age has the root mean square 1.2, the median feature 0.001"),
    ],
)
def test_unscaled_input(changes: dict[str, float], start: str) -> None:
    text = f"{start}: the input is not scaled; set datasets.d.normalize to standard"
    assert findings(with_inputs(**changes)) == {"unscaled_input": text}
    assert suggest_non_finite_remedy(with_inputs(**changes)) == text


def test_consequences_of_unscaled_input_are_not_reported() -> None:
    assert list(findings(replace(with_inputs(max_rms=1e4), train_losses=[1, 9e9, 1e3], val_losses=[1, 1, 1]))) == [
        "unscaled_input"
    ]


def test_tokens_have_no_root_mean_square() -> None:
    assert findings(with_inputs(median_rms=None, max_rms=None)) == {}


def test_constant_target() -> None:
    summary = with_inputs(has_constant_target=True, constant_loss=0.0)
    assert findings(replace(summary, train_losses=[0.0] * N, val_losses=[0.0] * N))["constant_target"].startswith(
        "all training rows have the same target: there is nothing to learn"
    )


def test_class_without_training_rows() -> None:
    text = findings(with_inputs(missing_classes=("cat", "dog")))["missing_class"]
    assert text.startswith("class cat, dog has no training rows: it cannot be learned; set datasets.d.split.by")


def test_overfitting_names_the_epoch_and_the_remedies() -> None:
    rising = FALLING[:12] + [FALLING[11] + 0.03 * i for i in range(1, N - 11)]
    assert findings(replace(HEALTHY, val_losses=rising)) == {
        "overfitting": "val/loss rises after epoch 12, from 0.0522 to 0.262, while train/loss falls: overfitting; try"
        " network.dropout, training.optimizer.weight_decay or more rows"
    }


def test_augmentation_is_a_remedy_for_images_and_dropout_for_networks_with_it() -> None:
    rising = FALLING[:12] + [0.3] * (N - 12)
    summary = replace(HEALTHY, val_losses=rising, input_stats=replace(INPUTS, kind="images"), network_params={})
    assert "try training.optimizer.weight_decay, training.augment or more rows" in findings(summary)["overfitting"]


def test_dropout_is_no_remedy_without_hidden_layers() -> None:
    rising = FALLING[:12] + [FALLING[11] + 0.03 * i for i in range(1, N - 11)]
    summary = replace(HEALTHY, val_losses=rising, network_params={"hidden": [], "dropout": 0.0})
    assert "try training.optimizer.weight_decay or more rows" in findings(summary)["overfitting"]


def test_gap_between_the_losses_is_overfitting() -> None:
    far = [0.4 + 0.1 * loss for loss in FALLING]
    assert findings(replace(HEALTHY, val_losses=far))["overfitting"].startswith("in the best epoch train/loss is")


def test_increase_of_both_losses_is_not_overfitting() -> None:
    rising = FALLING[:12] + [0.3] * (N - 12)
    assert findings(replace(HEALTHY, val_losses=rising, train_losses=rising)) == {}


def test_diverging_and_oscillating_losses_are_a_learning_rate_too_high() -> None:
    exploded = [*FALLING[:5], 40.0, *FALLING[6:]]
    assert findings(replace(HEALTHY, train_losses=exploded))["lr_too_high"] == (
        "train/loss is 40 in epoch 6, where a constant prediction has 0.69: learning rate too high;"
        " lower training.optimizer.lr (now 0.01) or set training.gradient_clip_norm"
    )
    oscillating = [0.3, 0.6] * (N // 2)
    assert findings(replace(HEALTHY, train_losses=oscillating, has_gradient_clipping=True))["lr_too_high"] == (
        "train/loss rises in 10 of 19 epochs, with a mean change of 0.3: learning rate too high;"
        " lower training.optimizer.lr (now 0.01)"
    )


def test_high_loss_in_the_first_epoch_is_no_finding() -> None:
    assert findings(replace(HEALTHY, train_losses=[30.0, *FALLING[1:]])) == {}


def test_no_learning_without_a_known_cause() -> None:
    assert findings(replace(HEALTHY, train_losses=LEVEL, val_losses=LEVEL)) == {
        "no_learning": "val/loss is 0.7 at best, where a constant prediction has 0.69: the network learned nothing;"
        " try another training.optimizer.lr (now 0.01), a wider network, or better features"
    }


@pytest.mark.parametrize(
    ("rule", "measurements", "expected"),
    [
        (
            "lr_too_low",
            with_kind("update_ratio", first=[1e-7] * N),
            "a step changes weights by 1e-07 of their size: learning rate too low; raise training.optimizer.lr",
        ),
        (
            "vanishing_gradients",
            with_kind("gradient_norm", first=[1e-9] * N, last=[0.1] * N),
            "the gradient of first is 1e-08 times that of last: vanishing gradients; try network.init kaiming or fewer",
        ),
        (
            "vanishing_through_time",
            with_kind("early_gradient_ratio", cell=[1e-8] * N, other=[0.5] * N),
            "1e-08 of the gradient of cell reaches the first steps of a sequence: gradients vanish through time; try"
            " network.cell lstm, network.cell gru, network.pool mean or shorter sequences",
        ),
        (
            "dead_units",
            with_kind("dead_fraction", relu=[1.0] * N, other=[0.2] * N),
            "100% of the units of relu are 0 for all rows; try network.activation leaky_relu, network.init kaiming or",
        ),
    ],
)
def test_no_learning_with_a_known_cause(rule: str, measurements: Measurements, expected: str) -> None:
    messages = findings(replace(HEALTHY, train_losses=LEVEL, val_losses=LEVEL, measurements=measurements))
    assert list(messages) == [rule]
    assert expected in messages[rule]
    if rule != "dead_units":  # a network that learns has no finding
        assert findings(replace(HEALTHY, measurements=measurements)) == {}


@pytest.mark.parametrize(
    ("activation", "measurements", "init"),
    [
        ("relu", with_kind("dead_fraction", relu=[1.0] * N), "kaiming"),
        ("tanh", with_kind("dead_fraction", tanh=[1.0] * N), "xavier"),
        ("silu", with_kind("gradient_norm", first=[0.0] * N, last=[0.1] * N), "kaiming"),
    ],
)
def test_zero_initial_weights_have_a_single_remedy(activation: str, measurements: Measurements, init: str) -> None:
    network = {**HEALTHY.network_params, "activation": activation, "init": "zeros", "norm": "none"}
    (text,) = findings(
        replace(HEALTHY, train_losses=LEVEL, val_losses=LEVEL, measurements=measurements, network_params=network)
    ).values()
    assert text.endswith(f"; try network.init {init}: units with zero initial weights remain identical")


def test_slowly_falling_loss_is_a_learning_rate_too_low() -> None:
    slow = [2.0 - 0.01 * i for i in range(N)]
    text = findings(replace(HEALTHY, train_losses=slow, val_losses=slow))["lr_too_low"]
    assert text.endswith(
        "but still falls in the last epoch: training is too slow; raise training.optimizer.lr (now 0.01) or"
        f" training.max_epochs (now {N})"
    )


def test_low_loss_of_few_validation_rows_by_chance_is_not_learning() -> None:
    assert list(findings(replace(HEALTHY, train_losses=[0.9, *[0.7] * (N - 1)], val_losses=[0.64] * N))) == [
        "no_learning"
    ]


def test_dead_units_of_a_network_that_learns_are_a_hint() -> None:
    dead = replace(HEALTHY, measurements=with_kind("dead_fraction", tanh=[0.0] * (N - 3) + [0.8] * 3))
    (finding,) = diagnose(replace(dead, network_params={"activation": "tanh", "init": "kaiming"}))
    assert (finding.rule, finding.level) == ("dead_units", "hint")
    assert finding.message == (
        "80% of the units of tanh are saturated for all rows; try network.activation relu, network.init xavier"
        " or a lower training.optimizer.lr (now 0.01)"
    )


def test_loss_that_still_falls_at_the_end_is_undertrained() -> None:
    slope = [1.0 - 0.04 * i for i in range(N)]
    assert findings(replace(HEALTHY, train_losses=slope, val_losses=slope)) == {
        "undertrained": "val/loss still fell by 40% in the last 4 epochs, to 0.24: train longer; raise"
        " training.max_epochs (now 20) or training.optimizer.lr (now 0.01)"
    }
    assert findings(replace(HEALTHY, train_losses=slope, val_losses=slope, max_epochs=50)) == {}  # stopped by patience


def test_loss_that_is_not_finite_has_remedies() -> None:
    summary = replace(HEALTHY, train_losses=[0.5, 12.0], val_losses=[0.5, 12.0])
    assert suggest_non_finite_remedy(summary) == (
        "lower training.optimizer.lr (now 0.01) or set training.gradient_clip_norm; train/loss was 12 in the"
        " epoch before"
    )
    assert suggest_non_finite_remedy(replace(summary, train_losses=[], has_gradient_clipping=True, precision="16")) == (
        "lower training.optimizer.lr (now 0.01) or set training.precision to bf16"
    )


def test_summary_and_json_of_a_diagnosis() -> None:
    diagnosis = Diagnosis((Finding("overfitting", "hint", "do less"),), 0.69, HEALTHY.measurements)
    assert diagnosis.summary_lines() == ["hint: do less"]
    assert json.loads(diagnosis.to_json()) == {
        "findings": [{"rule": "overfitting", "level": "hint", "message": "do less"}],
        "constant_loss": 0.69,
        "measurements": HEALTHY.measurements,
    }


def test_metrics_of_an_epoch_do_not_include_missing_measurements() -> None:
    measurements: Measurements = {
        "gradient_norm": {"a": [0.5, None], "b": [0.1, 0.2]},
        "update_ratio": {"a": [1, 1]},
        "dead_fraction": {"r": [0, 0.3]},
    }
    assert diagnostic_metrics(measurements, 0) == {
        "diagnostics/gradient_norm/a": 0.5,
        "diagnostics/gradient_norm/b": 0.1,
        "diagnostics/dead_fraction/r": 0,
    }
    assert diagnostic_metrics(measurements, 1) == {
        "diagnostics/gradient_norm/b": 0.2,
        "diagnostics/dead_fraction/r": 0.3,
    }
