"""Training of GANs: generated samples, diagnostics, previews, the selected epoch, and exact resuming."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fivefold.data.dataset import Array, Dataset
from fivefold.errors import ParamsError, TrainingError
from fivefold.evaluation.generation.samples import generate, sample_noise
from fivefold.models.feature_extractor import ReferenceClassifier
from fivefold.training.adversarial import build_adversarial_setup
from fivefold.training.diagnostics.adversarial import AdversarialDiagnosticsCallback
from fivefold.training.fit import FitResult
from fivefold.training.previews import sample_fixed_noise
from fivefold.training.supervised import EpochSeed

from ..conftest import schema_of
from .helpers import (
    POINTS,
    InterruptedEpochError,
    gan_model,
    image_dataset,
    interrupt_at,
    is_same,
    model,
    split_dataset,
    train_generator,
)

MODES = 3 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)
"""Means of eight Gaussians with standard deviation 0.1, on a ring."""


def ring(n: int = 4096) -> Dataset:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 8, n)
    return split_dataset(schema_of((2,), 8), MODES[y] + rng.normal(0, 0.1, (n, 2)), y)


def generate_samples(fitted: FitResult, n: int, classes: Array | None = None) -> Array:
    model = fitted.trained_model
    return generate(model, sample_noise(model, n, 0, np.arange(0) if classes is None else classes))


RING: dict[str, Any] = {
    "hidden": [64, 64],
    "numeric_transform": "none",
    "loss": {"name": "wasserstein_gp", "lambda_gp": 0.3},
    "discriminator_lr_factor": 2.0,
}


def test_all_modes_of_a_ring_are_generated(tmp_path: Path) -> None:
    params = gan_model(
        {**RING, "validate_every": 30},
        optimizer={"name": "adam", "lr": 0.003, "beta1": 0.5},
        max_epochs=120,
        batch_size=128,
        ema_decay=0.995,
    )
    fitted = train_generator(tmp_path, params, ring())
    distances = np.linalg.norm(generate_samples(fitted, 1000)[:, None] - MODES, axis=2)  # (n, 8)
    is_near = distances.min(1) < 0.5  # five standard deviations
    counts = np.bincount(distances.argmin(1)[is_near], minlength=8)
    assert (counts >= 50).all(), counts
    assert is_near.mean() > 0.65
    assert fitted.diagnosis.findings == ()


def test_mode_collapse_is_reported_once_and_does_not_stop_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = gan_model({"loss": {"name": "minimax"}, "discriminator_lr_factor": 1e-4}, max_epochs=10, batch_size=128)
    alarms: list[tuple[str, str]] = []
    fitted = train_generator(tmp_path, params, ring(1024), on_alarm=lambda *alarm: alarms.append(alarm))
    assert len(fitted.history) == 10
    (finding,) = fitted.diagnosis.findings
    ((rule, message),) = alarms
    assert rule == "mode_collapse"
    assert message.endswith(finding.message.partition("mode collapse; ")[2])
    assert f"m: problem: {message}\n" in capsys.readouterr().out
    assert finding.rule == "mode_collapse"
    assert finding.message.startswith("the diversity of generated samples is ")
    assert finding.message.endswith(
        "mode collapse; try network.loss wasserstein_gp, network.norm spectral, network.r1 or a lower"
        " training.optimizer.lr (now 0.001)"
    )
    assert f"problem: {finding.message}" in fitted.summary_lines()


def test_mode_collapse_that_the_summary_reports_is_not_printed_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = gan_model(
        {"loss": {"name": "minimax"}, "discriminator_lr_factor": 1e-4, "validate_every": 1}, max_epochs=2
    )
    alarms: list[tuple[str, str]] = []
    fitted = train_generator(tmp_path, params, ring(256), on_alarm=lambda *alarm: alarms.append(alarm))
    ((_, message),) = alarms
    assert f"problem: {message}" in fitted.summary_lines()
    assert message not in capsys.readouterr().out


def history(*diversities: float | None) -> list[dict[str, float]]:
    return [{"train/discriminator": 1.0} | ({} if value is None else {"val/diversity": value}) for value in diversities]


@pytest.mark.parametrize(
    ("diversities", "expected"),
    [
        ((None, 0.9, None, 0.8), None),
        ((None, 0.1, None, 0.8), None),
        (
            (0.9, None, None, 0.2, None, 0.03),
            "the diversity of generated samples is 3% of that of real ones since epoch 4: mode collapse; try",
        ),
        (
            (0.1, 0.9, 0.2),
            "the diversity of generated samples is 20% of that of real ones since epoch 3: mode collapse; try",
        ),
    ],
)
def test_mode_collapse_names_its_first_epoch(diversities: tuple[float | None, ...], expected: str | None) -> None:
    findings = AdversarialDiagnosticsCallback(gan_model({})).build_diagnosis(history(*diversities)).findings
    assert [finding.message[: len(expected or "")] for finding in findings] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("diversities", "expected"),
    [
        ((0.1,), []),  # an untrained generator may have a low diversity
        (
            (0.1, 0.1),
            ["the diversity of generated samples is 10% of that of real ones since epoch 1: mode collapse; try"],
        ),
        ((0.1, 0.1, 0.1), []),
        ((0.1, 0.1, None), []),
        (
            (0.1, 0.1, 0.5),
            ["the diversity of generated samples is 50% of that of real ones in epoch 3: mode collapse is over"],
        ),
        ((0.1, 0.5), []),
    ],
)
def test_mode_collapse_is_reported_after_two_validations_and_when_it_is_over(
    diversities: tuple[float | None, ...], expected: list[str]
) -> None:
    alarms = AdversarialDiagnosticsCallback(gan_model({})).alarms(history(*diversities))
    assert [alarm.message[: len(text)] for alarm, text in zip(alarms, expected, strict=True)] == expected


def test_discriminator_that_is_too_confident_is_a_finding(tmp_path: Path) -> None:
    network: dict[str, Any] = {"loss": {"name": "minimax"}, "discriminator_lr_factor": 20.0, "hidden": [64]}
    confident = train_generator(
        tmp_path / "confident", gan_model(network, max_epochs=12, optimizer={"name": "sgd", "lr": 0.01})
    )
    assert [finding.rule for finding in confident.diagnosis.findings] == ["vanishing_discriminator"]
    assert confident.diagnosis.findings[0].message.endswith(
        "times its largest value: the discriminator is too confident; try network.loss non_saturating, a lower"
        " network.discriminator_lr_factor (now 20) or network.instance_noise"
    )
    informative = train_generator(tmp_path / "informative", gan_model({"hidden": [64]}, max_epochs=12))
    assert informative.diagnosis.findings == ()
    norms = informative.diagnosis.measurements["gradient_norm"]
    assert {name.partition(".")[0] for name in norms} == {"generator", "discriminator"}
    assert all(len(values) == 12 and None not in values for values in norms.values())


def test_sample_grids_are_rendered_and_resume_exactly(tmp_path: Path) -> None:
    params = gan_model(
        {"conditioning": "label", "validate_every": 2, "output_activation": "sigmoid"}, max_epochs=5, ema_decay=0.9
    )
    reported: dict[int, bytes] = {}
    uninterrupted = train_generator(tmp_path / "uninterrupted", params, on_samples=reported.__setitem__)
    assert list(uninterrupted.sample_grids) == [0, 2, 4, 5]
    assert reported == uninterrupted.sample_grids
    with pytest.raises(InterruptedEpochError):
        train_generator(tmp_path / "resumed", params, on_epoch=interrupt_at(3))
    assert train_generator(tmp_path / "resumed", params).sample_grids == uninterrupted.sample_grids
    last = np.asarray(Image.open(io.BytesIO(uninterrupted.sample_grids[5])))
    z = sample_fixed_noise(4, 2, 1)  # one class per row
    assert z[:, 4:].argmax(1).tolist() == [0] * 8 + [1] * 8
    training = params.training.model_copy(update={"checkpoint": "last"})
    fitted = train_generator(tmp_path / "last", params.model_copy(update={"training": training}))
    images = generate(fitted.trained_model, z.numpy())
    assert np.abs(last[4:60:8, 4:60:8].astype(float) - images[0, 0, :7, :7]).max() <= 1  # enlarged eight times
    assert train_generator(tmp_path / "points", gan_model({}), ring(64)).sample_grids == {}


NETWORKS: dict[str, dict[str, Any]] = {
    "dense": {},
    "dcgan, two discriminator steps": {
        "architecture": "dcgan",
        "hidden": [4, 8],
        "discriminator_steps": 2,
        "conditioning": "projection",
    },
    "resnet, penalty": {
        "architecture": "resnet",
        "hidden": [4],
        "loss": {"name": "wasserstein_gp"},
        "norm": "spectral",
    },
    "stylegan, r1, augmented": {"architecture": "stylegan", "hidden": [4], "r1": 1.0, "r1_every": 3, "augment": {}},
    "pac": {"pac": 4, "conditioning": "label", "loss": {"name": "wasserstein_gp"}},
    "clipped, noise": {"loss": {"name": "wasserstein_clip"}, "instance_noise": 0.2, "conditioning": "label"},
}


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_resumed_training_equals_uninterrupted_training(
    tmp_path: Path, network: dict[str, Any], ema_decay: float
) -> None:
    params = gan_model({**network, "discriminator_lr_factor": 2.0}, ema_decay=ema_decay, schedule={"name": "cosine"})
    uninterrupted = train_generator(tmp_path / "uninterrupted", params)
    with pytest.raises(InterruptedEpochError):
        train_generator(tmp_path / "resumed", params, on_epoch=interrupt_at(3))
    resumed = train_generator(tmp_path / "resumed", params)
    assert resumed.is_resumed
    assert is_same(resumed, uninterrupted)
    assert not is_same(train_generator(tmp_path / "other", params, seed=2), uninterrupted)


def test_best_epoch_has_the_lowest_distance_of_validated_epochs(tmp_path: Path) -> None:
    fitted = train_generator(tmp_path, gan_model({"validate_every": 3}, max_epochs=7))
    distances = fitted.history["val/energy_distance"]
    assert distances.notna().to_list() == [False, False, True, False, False, True, True]
    assert fitted.history["train/discriminator"].notna().all()
    assert fitted.best_epoch == distances.idxmin() + 1
    assert fitted.summary_lines()[0].startswith(
        f"selected epoch {fitted.best_epoch} of 7, val/energy_distance {distances.min():.4g}"
    )


def test_training_stops_after_patience_epochs_without_a_lower_distance(tmp_path: Path) -> None:
    fitted = train_generator(
        tmp_path,
        gan_model({"discriminator_lr_factor": 1e-6}, max_epochs=40, patience=4, optimizer={"name": "adam", "lr": 1e-9}),
    )
    assert len(fitted.history) == fitted.best_epoch + 4


def test_ema_averages_only_the_generator(tmp_path: Path) -> None:
    plain, averaged = (
        train_generator(tmp_path / str(decay), gan_model({}, ema_decay=decay, checkpoint="last"))
        for decay in (0.0, 0.9)
    )
    one, other = (fitted.trained_model.model.state_dict() for fitted in (plain, averaged))
    differ = {name.split(".")[1] for name in one if not torch.equal(one[name], other[name])}
    assert differ == {"generator"}  # the discriminator is trained with the generator itself


def test_clipped_discriminator_weights_are_within_their_bounds(tmp_path: Path) -> None:
    fitted = train_generator(tmp_path, gan_model({"loss": {"name": "wasserstein_clip", "clip_value": 0.02}}))
    discriminator = fitted.trained_model.model.network.get_submodule("discriminator")
    assert max(float(p.detach().abs().max()) for p in discriminator.parameters()) == pytest.approx(0.02)


def test_conditional_gan_generates_the_given_class(tmp_path: Path) -> None:
    params = gan_model(
        {"conditioning": "projection", "hidden": [32], "output_activation": "sigmoid"},
        max_epochs=40,
        optimizer={"name": "adam", "lr": 0.003, "beta1": 0.5},
    )
    fitted = train_generator(tmp_path, params)
    classes = np.arange(100) % 2
    images = generate_samples(fitted, 100, classes).reshape(100, 8, 8)
    lower, right = images[:, 4:, :4].mean((1, 2)), images[:, :4, 4:].mean((1, 2))
    assert ((lower > right) == (classes == 1)).mean() > 0.95


def test_samples_are_compared_in_the_feature_space_of_the_reference_classifier(tmp_path: Path) -> None:
    classifier = train_generator(
        tmp_path / "classifier", model({"family": "mlp", "hidden": [8]}, max_epochs=6, batch_size=16)
    )
    reference = ReferenceClassifier("mlp", "digest", classifier.trained_model)
    pixels, embedded = (
        train_generator(tmp_path / "pixels", gan_model({})),
        train_generator(tmp_path / "embedded", gan_model({}), reference=reference),
    )
    assert embedded.history["train/discriminator"].equals(
        pixels.history["train/discriminator"]
    )  # validation does not affect training
    assert not embedded.history["val/kid"].equals(pixels.history["val/kid"])


def test_weighted_sampler_balances_the_classes_of_a_conditional_gan() -> None:
    data = ring(800)
    rare = Dataset(
        data.schema,
        data.train.take(np.flatnonzero(data.train.y % 8 < (np.arange(400) % 9))),
        data.validation,
        data.test,
    )
    frequencies = []
    for class_balance in ("none", "weighted_sampler"):
        params = gan_model({"conditioning": "label"}, class_balance=class_balance)
        setup = build_adversarial_setup(
            "m", params, rare, POINTS, None, EpochSeed(1, lambda: 0), device=torch.device("cpu")
        )
        (epoch,) = setup.train_loader
        frequencies.append(torch.cat([c for _, c, _ in epoch]).mean(0))
    assert float(frequencies[0].min()) < 0.05
    assert float(frequencies[1].min()) > 0.07  # 1 / 8 is expected


def test_loss_that_is_not_finite_stops_training_with_a_remedy(tmp_path: Path) -> None:
    params = gan_model({"loss": {"name": "least_squares"}}, optimizer={"name": "sgd", "lr": 1e12})
    with pytest.raises(
        TrainingError, match=r"train/\w+ must be finite, but is \w+ in epoch \d; lower training.optimizer"
    ):
        train_generator(tmp_path, params)


def test_too_many_layers_for_the_image_size_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(
        ParamsError, match=r"\Amodels\.m\.network\.hidden must have at most 3 layers for images of 8x8 pixels"
    ):
        train_generator(tmp_path, gan_model({"architecture": "dcgan", "hidden": [4, 4, 4, 4]}))


def test_single_validation_row_is_rejected(tmp_path: Path) -> None:
    data = image_dataset()
    one = Dataset(data.schema, data.train, data.validation.take(np.arange(1)), data.test)
    with pytest.raises(
        ParamsError, match=r"^models\.m: a GAN needs at least 2 validation rows, but d has 1; change its split$"
    ):
        train_generator(tmp_path, gan_model({}), one)
