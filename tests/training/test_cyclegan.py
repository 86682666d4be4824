"""Two generators that translate between two classes: what they learn, what is kept, that resuming is exact."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fivefold.config.models import Model
from fivefold.data.dataset import Dataset
from fivefold.errors import ParamsError
from fivefold.evaluation.translation import translate_images
from fivefold.models.adversarial import AdversarialModule
from fivefold.models.cyclegan.module import Module
from fivefold.models.feature_extractor import ReferenceClassifier
from fivefold.training.batches import unpaired_order
from fivefold.training.diagnostics.adversarial import AdversarialDiagnosticsCallback

from ..conftest import schema_of
from .test_adversarial import divided, run
from .test_fit import InterruptedEpochError, interrupt_at, same


def bars(n: int = 120) -> Dataset:
    """Dark bars on white, a third of the rows, and bright ones on black; bars lie anywhere and have any brightness."""
    random = np.random.default_rng(0)
    y = (np.arange(n) % 3 > 0).astype(int)
    x = np.zeros((n, 1, 8, 8), np.uint8)
    for image, place, bright in zip(x, random.integers(1, 6, n), random.integers(150, 256, n), strict=True):
        image[:, :, place : place + 2] = bright
    x[y == 0] = 255 - x[y == 0]
    return divided(schema_of((1, 8, 8), 2), x, y)


SMALL: dict[str, Any] = {
    "family": "cyclegan",
    "filters": 4,
    "downsampling": 1,
    "blocks": 1,
    "critic": {"filters": 8, "layers": 1},
    "output": "sigmoid",
    "validate_every": 2,
}


def translator(network: dict[str, Any] | None = None, **training: Any) -> Model:
    tree = {
        "dataset": "d",
        "depends_on": "none",
        "select": {"method": "none"},
        "network": {**SMALL, **(network or {})},
        "training": {
            "max_epochs": 4,
            "patience": 0,
            "batch_size": 16,
            "optimizer": {"name": "adam", "lr": 0.002, "beta1": 0.5},
            "checkpoint_seconds": 0,
            **training,
        },
    }
    return Model.model_validate_json(json.dumps(tree))


def test_dark_bars_become_bright_ones_on_black_and_come_back(tmp_path: Path) -> None:
    chosen = translator({"cycle": 2.0, "identity": 0.0, "discriminator_lr_factor": 0.5}, max_epochs=20, batch_size=8)
    data = bars()
    fitted = run(tmp_path, chosen, data)
    for into in (0, 1):
        x = data.test.x[data.test.y == 1 - into]
        made, back = translate_images(fitted.trained_model, x, into)
        assert ((made.mean((1, 2, 3)) < 128) == bool(into)).mean() > 0.9  # where a bar lies, no loss says
        assert np.abs(back - x).mean() / 255 < 0.1
    assert fitted.history["val/kid"].min() < 0.5
    assert fitted.diagnosis.findings == ()


PLAYERS: dict[str, dict[str, Any]] = {
    "paper": {"pool": 20},
    "penalty, without identity or pool": {"loss": {"name": "wasserstein_gp"}, "identity": 0.0, "pool": 0},
    "clipped": {"loss": {"name": "wasserstein_clip"}, "discriminator_lr_factor": 2.0, "pool": 50},
}


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
@pytest.mark.parametrize("network", PLAYERS.values(), ids=PLAYERS)
def test_a_resumed_training_is_an_uninterrupted_one(tmp_path: Path, network: dict[str, Any], ema: float) -> None:
    chosen = translator(network, ema=ema, schedule={"name": "cosine"})
    whole = run(tmp_path / "whole", chosen, bars())
    with pytest.raises(InterruptedEpochError):
        run(tmp_path / "parts", chosen, bars(), each=interrupt_at(2))
    resumed = run(tmp_path / "parts", chosen, bars())
    assert resumed.is_resumed
    assert same(resumed, whole)


def test_the_pool_goes_with_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test above would say nothing of it."""
    chosen = translator({"pool": 20})
    whole = run(tmp_path / "whole", chosen, bars())
    with pytest.raises(InterruptedEpochError):
        run(tmp_path / "parts", chosen, bars(), each=interrupt_at(2))
    monkeypatch.setattr(Module, "on_load_checkpoint", AdversarialModule.on_load_checkpoint)
    assert not same(run(tmp_path / "parts", chosen, bars()), whole)


def test_every_weight_that_is_kept_has_learnt(tmp_path: Path) -> None:
    fitted = run(tmp_path, translator(), bars())
    before = run(tmp_path / "before", translator(optimizer={"name": "sgd", "lr": 1e-30}), bars())
    old, new = before.trained_model.model.network.state_dict(), fitted.trained_model.model.network.state_dict()
    assert [name for name in old if (old[name] == new[name]).all()] == []


def test_the_kept_epoch_is_that_of_the_lowest_sum_among_those_looked_at(tmp_path: Path) -> None:
    fitted = run(tmp_path, translator({"validate_every": 2}, max_epochs=5), bars())
    seen = fitted.history["val/translation_score"]
    assert seen.notna().to_list() == [False, True, False, True, True]
    assert fitted.best_epoch == seen.idxmin() + 1
    both = fitted.history["val/kid"] + fitted.history["val/cycle_l1"]
    assert seen.dropna().to_list() == pytest.approx(both.dropna().to_list())
    assert {name for name in fitted.history if name.startswith("train/")} == {
        "train/generator",
        "train/discriminator_a",
        "train/discriminator_b",
    }


def test_images_are_compared_as_the_judge_sees_them(tmp_path: Path) -> None:
    tree = translator().model_dump(mode="json") | {"network": {"family": "mlp", "hidden": [8]}}
    classifier = run(tmp_path / "judge", Model.model_validate_json(json.dumps(tree)), bars())
    judge = ReferenceClassifier("mlp", "digest", classifier.trained_model)
    own, judged = (
        run(tmp_path / name, translator(), bars(), judge=expert) for name, expert in (("own", None), ("judged", judge))
    )
    assert judged.history["train/generator"].equals(own.history["train/generator"])  # to look changes nothing
    assert judged.history["val/cycle_l1"].equals(own.history["val/cycle_l1"])
    assert not judged.history["val/kid"].equals(own.history["val/kid"])


def test_an_epoch_shows_each_image_of_the_larger_class_once_and_the_others_as_evenly_as_can_be() -> None:
    epochs = iter([0, 0, 1])
    order = unpaired_order(3, 8, 7, lambda: next(epochs))
    first, again, other = order(), order(), order()
    assert first.shape == (8, 2)
    assert sorted(first[:, 1].tolist()) == list(range(8))
    counts = np.bincount(first[:, 0])
    assert sorted(counts.tolist()) == [2, 3, 3]
    assert (first == again).all()
    assert not (first == other).all()


def test_a_single_row_of_a_class_is_refused(tmp_path: Path) -> None:
    data = bars()
    (lonely, *_), others = np.flatnonzero(data.validation.y == 0), np.flatnonzero(data.validation.y == 1)
    one = Dataset(data.schema, data.train, data.validation.take(np.append(others, lonely)), data.test)
    with pytest.raises(
        ParamsError,
        match=r"models.m: translated images are compared with validation rows of either class, two at least, but d has"
        r" 1 of class0; change its split",
    ):
        run(tmp_path, translator(), one)


def test_images_that_are_too_small_are_refused_with_the_key(tmp_path: Path) -> None:
    with pytest.raises(
        ParamsError, match=r"\Amodels.m.network.downsampling must leave 2x2 pixels or more, so it may be"
    ):
        run(tmp_path, translator({"downsampling": 3}), bars())


def test_images_that_stay_what_they_are_are_found_out() -> None:
    look = {"val/diversity": 0.9, "val/translation_score": 0.92, "val/kid": 0.9}
    referee = AdversarialDiagnosticsCallback(translator({"cycle": 4.0, "discriminator_lr_factor": 0.3}))
    assert referee.build_diagnosis([look, {}, look | {"val/kid": 0.1}]).findings == ()
    (found,) = referee.build_diagnosis([look | {"val/kid": 0.1}, look, {}]).findings
    assert (found.rule, found.message) == (
        "untranslated",
        "translated images are still 90% of the classes' distance from real ones; try a smaller network.lambda_cycle (now 4),"
        " network.lambda_identity (now 0.5) or network.discriminator_lr_factor (now 0.3)",
    )


def test_the_alarm_names_what_may_help_a_translator() -> None:
    chosen = translator({"cycle": 4.0})
    (found,) = (
        AdversarialDiagnosticsCallback(chosen)
        .build_diagnosis([{"val/diversity": 0.9}, {"val/diversity": 0.1}])
        .findings
    )
    assert found.message == (
        "samples differ by 10% of what real rows do since epoch 2: mode collapse; try network.loss wasserstein_gp, a"
        " larger network.lambda_cycle (now 4) or a lower training.optimizer.lr (now 0.002)"
    )
