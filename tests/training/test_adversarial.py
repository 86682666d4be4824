"""Two networks that learn from each other: what they find, what is kept, that a resumed training is the same."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fivefold.config.models import Model
from fivefold.data.dataset import Array, Dataset, Split
from fivefold.data.schema import Schema
from fivefold.errors import ParamsError, TrainingError
from fivefold.evaluation.generation.samples import generate, sample_noise
from fivefold.models.feature_extractor import ReferenceClassifier
from fivefold.preprocessing.pipeline import Pipeline, Step
from fivefold.training.adversarial import build_adversarial_setup
from fivefold.training.diagnostics.adversarial import AdversarialDiagnosticsCallback
from fivefold.training.fit import FitResult, fit
from fivefold.training.previews import sample_fixed_noise
from fivefold.training.supervised import EpochSeed

from ..conftest import schema_of
from .test_fit import InterruptedEpochError, interrupt_at, same

MODES = 3 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)
"""Means of eight Gaussians of deviation 0.1, on a ring."""

POINTS = Pipeline("float64", ()).with_steps(Step("affine", {"shift": np.zeros(2), "scale": np.full(2, 0.5)}))
PIXELS = Pipeline("float32", ()).with_steps(Step("affine", {"shift": np.array(0.0), "scale": np.array(1 / 255)}))


def divided(schema: Schema, x: Array, y: Array) -> Dataset:
    n = len(x)
    records = Split(x, y, np.arange(n))
    return Dataset(
        schema, *(records.take(np.arange(*span)) for span in ((0, n // 2), (n // 2, n * 3 // 4), (n * 3 // 4, n)))
    )


def ring(n: int = 4096) -> Dataset:
    random = np.random.default_rng(0)
    y = random.integers(0, 8, n)
    return divided(schema_of((2,), 8), MODES[y] + random.normal(0, 0.1, (n, 2)), y)


def images(n: int = 160) -> Dataset:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, n)
    x = np.zeros((n, 1, 8, 8), np.uint8)
    x[y == 0, :, :4], x[y == 1, :, :, :4] = 255, 255
    return divided(schema_of((1, 8, 8), 2), x, y)


def model(network: dict[str, Any], **training: Any) -> Model:
    tree = {
        "dataset": "d",
        "depends_on": "none",
        "select": {"method": "none"},
        "network": {"family": "gan", "latent": 4, "hidden": [16], "validate_every": 2, **network},
        "training": {
            "max_epochs": 6,
            "patience": 0,
            "batch_size": 16,
            "optimizer": {"name": "adam", "lr": 0.001, "beta1": 0.5},
            "checkpoint_seconds": 0,
            **training,
        },
    }
    return Model.model_validate_json(json.dumps(tree))


def run(
    folder: Path,
    chosen: Model,
    data: Dataset | None = None,
    *,
    seed: int = 1,
    judge: ReferenceClassifier | None = None,
    each: Callable[[int], None] = int,
    **told: Any,
) -> FitResult:
    data = data or images()
    chain = PIXELS if data.schema.kind == "images" else POINTS
    told["on_epoch"] = lambda epoch, *_: each(epoch)
    return fit("m", chosen, data, chain, None, judge, seed=seed, checkpoint_folder=folder, **told)


def made_of(fitted: FitResult, n: int, asked: Array | None = None) -> Array:
    return generate(
        fitted.trained_model, sample_noise(fitted.trained_model, n, 0, np.arange(0) if asked is None else asked)
    )


RING: dict[str, Any] = {
    "hidden": [64, 64],
    "numbers": "scaled",
    "loss": {"name": "wasserstein_gp", "penalty": 0.3},
    "discriminator_lr_factor": 2.0,
}


def test_all_eight_gaussians_of_a_ring_are_found(tmp_path: Path) -> None:
    lasting = {"max_epochs": 120, "batch_size": 128, "ema_decay": 0.995}
    chosen = model({**RING, "validate_every": 30}, optimizer={"name": "adam", "lr": 0.003, "beta1": 0.5}, **lasting)
    fitted = run(tmp_path, chosen, ring())
    apart = np.linalg.norm(made_of(fitted, 1000)[:, None] - MODES, axis=2)  # (n, 8)
    near = apart.min(1) < 0.5  # five deviations
    counts = np.bincount(apart.argmin(1)[near], minlength=8)
    assert (counts >= 50).all(), counts
    assert near.mean() > 0.65
    assert fitted.diagnosis.findings == ()


def test_the_alarm_fires_on_a_run_made_to_collapse_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = model({"loss": {"name": "minimax"}, "discriminator_lr_factor": 1e-4}, max_epochs=10, batch_size=128)
    alarms: list[tuple[str, str]] = []
    fitted = run(tmp_path, chosen, ring(1024), on_alarm=lambda *alarm: alarms.append(alarm))
    assert len(fitted.history) == 10
    (found,) = fitted.diagnosis.findings
    ((rule, text),) = alarms  # said once, while there is something to be done
    assert rule == "mode_collapse"
    assert text.endswith(found.message.partition("mode collapse; ")[2])
    assert f"m: doctor, problem: {text}\n" in capsys.readouterr().out
    assert found.rule == "mode_collapse"
    assert found.message.startswith("samples differ by ")
    assert found.message.endswith(
        "mode collapse; try network.loss wasserstein_gp, network.norm spectral, network.r1 or a lower"
        " training.optimizer.lr (now 0.001)"
    )
    assert f"doctor, problem: {found.message}" in fitted.summary_lines()


def test_a_collapse_that_the_end_tells_is_not_told_just_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = model({"loss": {"name": "minimax"}, "discriminator_lr_factor": 1e-4, "validate_every": 1}, max_epochs=2)
    alarms: list[tuple[str, str]] = []
    fitted = run(tmp_path, chosen, ring(256), on_alarm=lambda *alarm: alarms.append(alarm))
    ((_, text),) = alarms
    assert f"doctor, problem: {text}" in fitted.summary_lines()
    assert text not in capsys.readouterr().out


def epochs(*diversity: float | None) -> list[dict[str, float]]:
    return [{"train/discriminator": 1.0} | ({} if value is None else {"val/diversity": value}) for value in diversity]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ((None, 0.9, None, 0.8), None),
        ((None, 0.1, None, 0.8), None),
        (
            (0.9, None, None, 0.2, None, 0.03),
            "samples differ by 3% of what real rows do since epoch 4: mode collapse; try",
        ),
        ((0.1, 0.9, 0.2), "samples differ by 20% of what real rows do since epoch 3: mode collapse; try"),
    ],
)
def test_the_alarm_says_since_when(seen: tuple[float | None, ...], said: str | None) -> None:
    found = AdversarialDiagnosticsCallback(model({})).build_diagnosis(epochs(*seen)).findings
    assert [finding.message[: len(said or "")] for finding in found] == ([said] if said else [])


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ((0.1,), []),  # before a generator has learnt anything its records may be alike
        ((0.1, 0.1), ["samples differ by 10% of what real rows do since epoch 1: mode collapse; try"]),
        ((0.1, 0.1, 0.1), []),
        ((0.1, 0.1, None), []),
        ((0.1, 0.1, 0.5), ["samples differ by 50% of what real rows do in epoch 3: the mode collapse is over"]),
        ((0.1, 0.5), []),
    ],
)
def test_a_collapse_is_told_when_it_is_seen_twice_and_when_it_is_over(
    seen: tuple[float | None, ...], said: list[str]
) -> None:
    found = AdversarialDiagnosticsCallback(model({})).alarms(epochs(*seen))
    assert [finding.message[: len(text)] for finding, text in zip(found, said, strict=True)] == said


def test_a_critic_that_is_too_sure_is_named_and_one_that_leads_is_not(tmp_path: Path) -> None:
    tree: dict[str, Any] = {"loss": {"name": "minimax"}, "discriminator_lr_factor": 20.0, "hidden": [64]}
    sure = run(tmp_path / "sure", model(tree, max_epochs=12, optimizer={"name": "sgd", "lr": 0.01}))
    assert [finding.rule for finding in sure.diagnosis.findings] == ["vanishing_critic"]
    assert sure.diagnosis.findings[0].message.endswith(
        "times its largest: the critic is so sure of itself that nothing can be learnt from it; try network.loss"
        " non_saturating, a lower network.discriminator_lr_factor (now 20) or network.instance_noise"
    )
    leads = run(tmp_path / "leads", model({"hidden": [64]}, max_epochs=12))
    assert leads.diagnosis.findings == ()
    norms = leads.diagnosis.measurements["gradient"]
    assert {name.partition(".")[0] for name in norms} == {"generator", "discriminator"}
    assert all(len(values) == 12 and None not in values for values in norms.values())


def test_what_is_made_is_shown_while_it_is_learnt_and_a_resumed_film_is_the_same(tmp_path: Path) -> None:
    chosen = model({"condition": "label", "validate_every": 2, "output": "sigmoid"}, max_epochs=5, ema=0.9)
    seen: dict[int, bytes] = {}
    whole = run(tmp_path / "whole", chosen, on_sheet=seen.__setitem__)
    assert list(whole.sample_grids) == [0, 2, 4, 5]
    assert seen == whole.sample_grids
    with pytest.raises(InterruptedEpochError):
        run(tmp_path / "parts", chosen, each=interrupt_at(3))
    assert run(tmp_path / "parts", chosen).sample_grids == whole.sample_grids
    last = np.asarray(Image.open(io.BytesIO(whole.sample_grids[5])))
    z = sample_fixed_noise(4, 2, 1)  # each class in a row
    assert z[:, 4:].argmax(1).tolist() == [0] * 8 + [1] * 8
    kept = run(
        tmp_path / "kept", chosen.model_copy(update={"training": chosen.training.model_copy(update={"keep": "last"})})
    )
    images = generate(kept.trained_model, z.numpy())
    assert np.abs(last[4:60:8, 4:60:8].astype(float) - images[0, 0, :7, :7]).max() <= 1  # enlarged eight times
    assert run(tmp_path / "points", model({}), ring(64)).sample_grids == {}


PLAYERS: dict[str, dict[str, Any]] = {
    "dense": {},
    "dcgan, two steps of the critic": {
        "architecture": "dcgan",
        "hidden": [4, 8],
        "discriminator_steps": 2,
        "condition": "projection",
    },
    "resnet, penalty": {
        "architecture": "resnet",
        "hidden": [4],
        "loss": {"name": "wasserstein_gp"},
        "norm": "spectral",
    },
    "stylegan, r1, augmented": {"architecture": "stylegan", "hidden": [4], "r1": 1.0, "r1_every": 3, "augment": {}},
    "packs": {"pac": 4, "condition": "label", "loss": {"name": "wasserstein_gp"}},
    "clipped, noise": {"loss": {"name": "wasserstein_clip"}, "instance_noise": 0.2, "condition": "label"},
}


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
@pytest.mark.parametrize("network", PLAYERS.values(), ids=PLAYERS)
def test_a_resumed_training_is_an_uninterrupted_one(tmp_path: Path, network: dict[str, Any], ema: float) -> None:
    chosen = model({**network, "discriminator_lr_factor": 2.0}, ema=ema, schedule={"name": "cosine"})
    whole = run(tmp_path / "whole", chosen)
    with pytest.raises(InterruptedEpochError):
        run(tmp_path / "parts", chosen, each=interrupt_at(3))
    resumed = run(tmp_path / "parts", chosen)
    assert resumed.is_resumed
    assert same(resumed, whole)
    assert not same(run(tmp_path / "other", chosen, seed=2), whole)


def test_the_kept_epoch_is_that_of_the_lowest_distance_among_those_looked_at(tmp_path: Path) -> None:
    fitted = run(tmp_path, model({"validate_every": 3}, max_epochs=7))
    distances = fitted.history["val/energy_distance"]
    assert distances.notna().to_list() == [False, False, True, False, False, True, True]
    assert fitted.history["train/discriminator"].notna().all()
    assert fitted.best_epoch == distances.idxmin() + 1
    assert fitted.summary_lines()[0].startswith(
        f"epoch {fitted.best_epoch} of 7 is kept, val/energy_distance {distances.min():.4g}"
    )


def test_training_stops_after_patience_epochs_without_a_lower_distance(tmp_path: Path) -> None:
    fitted = run(
        tmp_path,
        model({"discriminator_lr_factor": 1e-6}, max_epochs=40, patience=4, optimizer={"name": "adam", "lr": 1e-9}),
    )
    assert len(fitted.history) == fitted.best_epoch + 4


def test_what_is_kept_of_averaged_weights_is_the_average(tmp_path: Path) -> None:
    plain, averaged = (run(tmp_path / str(ema), model({}, ema=ema, keep="last")) for ema in (0.0, 0.9))
    one, other = (fitted.trained_model.model.state_dict() for fitted in (plain, averaged))
    differ = {name.split(".")[1] for name in one if not torch.equal(one[name], other[name])}
    assert differ == {"generator"}  # the critic learns from the generator itself


def test_a_clipped_critic_stays_within_its_bounds(tmp_path: Path) -> None:
    fitted = run(tmp_path, model({"loss": {"name": "wasserstein_clip", "clip": 0.02}}))
    critic = fitted.trained_model.model.network.get_submodule("discriminator")
    assert max(float(p.detach().abs().max()) for p in critic.parameters()) == pytest.approx(0.02)


def test_records_of_a_class_can_be_asked_for(tmp_path: Path) -> None:
    chosen = model(
        {"condition": "projection", "hidden": [32], "output": "sigmoid"},
        max_epochs=40,
        optimizer={"name": "adam", "lr": 0.003, "beta1": 0.5},
    )
    fitted = run(tmp_path, chosen)
    asked = np.arange(100) % 2
    made = made_of(fitted, 100, asked).reshape(100, 8, 8)
    lower, right = made[:, 4:, :4].mean((1, 2)), made[:, :4, 4:].mean((1, 2))
    assert ((lower > right) == (asked == 1)).mean() > 0.95


def test_records_are_compared_as_the_judge_sees_them(tmp_path: Path) -> None:
    tree = model({}).model_dump(mode="json") | {"network": {"family": "mlp", "hidden": [8]}}
    classifier = run(tmp_path / "judge", Model.model_validate_json(json.dumps(tree)))
    judge = ReferenceClassifier("mlp", "digest", classifier.trained_model)
    own, judged = run(tmp_path / "own", model({})), run(tmp_path / "judged", model({}), judge=judge)
    assert judged.history["train/discriminator"].equals(own.history["train/discriminator"])  # to look changes nothing
    assert not judged.history["val/kid"].equals(own.history["val/kid"])


def test_rare_classes_are_shown_as_often_as_others_where_they_are_asked_for() -> None:
    data = ring(800)
    rare = Dataset(
        data.schema,
        data.train.take(np.flatnonzero(data.train.y % 8 < (np.arange(400) % 9))),
        data.validation,
        data.test,
    )
    shares = []
    for imbalance in ("none", "sampling"):
        chosen = model({"condition": "label"}, imbalance=imbalance)
        made = build_adversarial_setup(
            "m", chosen, rare, POINTS, None, EpochSeed(1, lambda: 0), device=torch.device("cpu")
        )
        (epoch,) = made.train_loader
        shares.append(torch.cat([c for _, c, _ in epoch]).mean(0))
    assert float(shares[0].min()) < 0.05
    assert float(shares[1].min()) > 0.07  # of an eighth


def test_a_loss_that_is_not_finite_stops_training_with_the_remedy(tmp_path: Path) -> None:
    chosen = model({"loss": {"name": "least_squares"}}, optimizer={"name": "sgd", "lr": 1e12})
    with pytest.raises(
        TrainingError, match=r"train/\w+ must be finite, but is \w+ in epoch \d; lower training.optimizer"
    ):
        run(tmp_path, chosen)


def test_layers_that_leave_no_pixel_are_refused_with_the_key(tmp_path: Path) -> None:
    with pytest.raises(
        ParamsError, match=r"\Amodels\.m\.network\.hidden must have at most 3 layers for images of 8x8 pixels"
    ):
        run(tmp_path, model({"architecture": "dcgan", "hidden": [4, 4, 4, 4]}))


def test_a_single_validation_row_is_refused(tmp_path: Path) -> None:
    data = images()
    one = Dataset(data.schema, data.train, data.validation.take(np.arange(1)), data.test)
    with pytest.raises(ParamsError, match=r"compared with validation rows, 2 at least, but d has 1; change its split"):
        run(tmp_path, model({}), one)
