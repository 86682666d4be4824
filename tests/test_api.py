"""The public Python API: the steps of the pipeline as functions."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl

import fivefold as ff
from fivefold.errors import ArtifactError, DataError, InputError, ParamsError

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples/notebooks/quickstart.ipynb"
TRAINING = {"max_epochs": 8, "batch_size": 16, "optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.0}}
NETWORK = {"family": "mlp", "hidden": [16]}


def table(n: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    size, color = rng.normal(size=n), rng.choice(["red", "green"], n)
    label = np.where(size + (color == "red") > 0.5, "big", "small")
    return pd.DataFrame({"size": size, "color": color, "label": label})


@pytest.fixture(scope="module")
def dataset() -> ff.PreparedDataset:
    return ff.prepare(table(), target="label", seed=0)


@pytest.fixture(scope="module")
def model(dataset: ff.PreparedDataset) -> ff.Model:
    return ff.fit({"network": NETWORK, "training": TRAINING}, dataset, seed=0, verbose=False)


def test_the_public_names_are_importable_and_listed() -> None:
    assert len(ff.__all__) == 11
    assert all(getattr(ff, name) is not None for name in ff.__all__)
    assert set(ff.__all__) <= set(dir(ff))
    with pytest.raises(AttributeError, match="'fivefold' has no attribute 'unknown'"):
        _ = ff.unknown


def test_importing_the_package_imports_no_third_party_package() -> None:
    code = "import json, sys, fivefold; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    packages = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "fivefold" in packages
    assert not packages & {"numpy", "pandas", "torch", "pydantic", "pytorch_lightning", "sklearn", "mlflow", "optuna"}


class TestPrepare:
    def test_a_dataframe_and_its_file_give_the_same_dataset(self, dataset: ff.PreparedDataset, tmp_path: Path) -> None:
        path = tmp_path / "table.csv"
        table().to_csv(path, index=False)
        other = ff.prepare(path, target="label", seed=0)
        assert dataset.schema == other.schema
        for name, split in dataset.splits().items():
            np.testing.assert_array_equal(split.rows, other.splits()[name].rows)
            np.testing.assert_allclose(split.x, other.splits()[name].x)

    def test_a_block_is_accepted(self, tmp_path: Path) -> None:
        path = tmp_path / "table.csv"
        table().to_csv(path, index=False)
        block = {
            "kind": "table",
            "source": str(path),
            "target": "label",
            "task": "classification",
            "split": {"by": "random", "validation": 0.2, "test": 0.3},
            "normalize": "standard",
        }
        dataset = ff.prepare(block, seed=1)
        assert {name: len(split) for name, split in dataset.splits().items()} == {
            "train": 100,
            "validation": 40,
            "test": 60,
        }
        assert ff.prepare(dataset.config, seed=1).schema == dataset.schema

    def test_options_override_what_is_inferred(self) -> None:
        dataset = ff.prepare(table(), target="label", drop=["color"], normalize="minmax")
        assert dataset.schema.features == ("size",)
        assert dataset.config.normalize == "minmax"

    def test_arrays_of_features(self) -> None:
        frame = table()
        dataset = ff.prepare((frame[["size"]].to_numpy(), frame["label"].to_numpy()))
        assert dataset.schema.features == ("x0",)
        assert dataset.schema.classes == ("big", "small")

    def test_arrays_of_images(self) -> None:
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), np.repeat([0, 1], 30)
        dataset = ff.prepare((x, y), split={"by": "stratified", "validation": 0.2, "test": 0.2})
        assert (dataset.schema.kind, dataset.schema.shape) == ("images", (1, 8, 8))

    def test_an_unknown_option_is_refused(self) -> None:
        with pytest.raises(
            ParamsError, match=r"dataset: table\.colour: Extra inputs are not permitted; correct the option"
        ):
            ff.prepare(table(), target="label", colour="red")

    def test_an_error_names_the_dataframe_and_not_a_temporary_file(self) -> None:
        frame = table().assign(size="x")
        with pytest.raises(DataError) as raised:
            ff.prepare(frame[:3], target="label")
        assert "parquet" not in str(raised.value)

    def test_a_missing_file_is_refused(self) -> None:
        with pytest.raises(DataError, match=r"but nowhere\.csv does not exist; correct the path"):
            ff.prepare("nowhere.csv")


class TestFit:
    def test_a_model_learns_and_reports_its_history(self, model: ff.Model, dataset: ff.PreparedDataset) -> None:
        assert len(model.history_) == 8
        assert 1 <= model.best_epoch_ <= 8
        assert model.history_["val/loss"].idxmin() + 1 == model.best_epoch_
        scores = model.evaluate("test")
        assert scores["accuracy"] > 0.8
        correct = model.predict(dataset.test) == np.array(dataset.schema.classes)[dataset.test.y]
        assert correct.mean() == pytest.approx(scores["accuracy"])
        assert set(model.evaluate("train")) == set(model.evaluate("validation")) == set(scores)

    def test_probabilities_are_those_of_the_predicted_classes(
        self, model: ff.Model, dataset: ff.PreparedDataset
    ) -> None:
        probabilities = model.predict_proba(dataset.test.x)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        assert (np.array(dataset.schema.classes)[probabilities.argmax(1)] == model.predict(dataset.test.x)).all()

    def test_the_same_seed_gives_the_same_model(self, model: ff.Model, dataset: ff.PreparedDataset) -> None:
        block = {"network": NETWORK, "training": TRAINING}
        again = ff.fit(block, dataset, seed=0, verbose=False)
        other = ff.fit(block, dataset, seed=1, verbose=False)
        pd.testing.assert_frame_equal(model.history_, again.history_)
        assert not model.history_.equals(other.history_)

    def test_regression_predicts_in_the_unit_of_the_target(self) -> None:
        frame = table().drop(columns="label").assign(price=lambda f: 1000 + 50 * f["size"])
        dataset = ff.prepare(frame, target="price", seed=0)
        model = ff.fit({"network": NETWORK, "training": TRAINING}, dataset, verbose=False)
        assert model.predict(dataset.test).shape == (len(dataset.test),)
        assert abs(model.predict(dataset.test).mean() - 1000) < 50
        with pytest.raises(InputError, match="predict_proba needs a classifier with a single target; use predict"):
            model.predict_proba(dataset.test)

    def test_callbacks_of_lightning_and_of_epochs_are_called(self, dataset: ff.PreparedDataset) -> None:
        class Count(pl.Callback):
            starts = 0

            def on_train_epoch_start(self, *_: object) -> None:
                self.starts += 1

        count, epochs = Count(), list[int]()
        ff.fit(
            {"network": NETWORK, "training": TRAINING},
            dataset,
            callbacks=[count],
            on_epoch=lambda epoch, metrics, is_last: epochs.append(epoch),
            verbose=False,
        )
        assert count.starts == 8
        assert epochs == list(range(8))

    def test_it_prints_nothing_unless_verbose(
        self, dataset: ff.PreparedDataset, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ff.fit({"network": NETWORK, "training": TRAINING}, dataset, verbose=False)
        assert capsys.readouterr().out == ""

    def test_a_block_that_is_not_valid_is_refused_with_its_key(self, dataset: ff.PreparedDataset) -> None:
        with pytest.raises(ParamsError, match=r"models\.model\.network\.hiden is not a known key"):
            ff.fit({"network": {"family": "mlp", "hiden": [16]}}, dataset)
        with pytest.raises(ParamsError, match="depends_on must be none here"):
            ff.fit({"depends_on": "cnn"}, dataset)

    def test_rows_of_another_shape_are_refused(self, model: ff.Model) -> None:
        with pytest.raises(InputError, match=r"rows must have the shape \(2,\) of prepared data, but have \(3,\)"):
            model.predict(np.zeros((4, 3)))


class TestSaveAndExport:
    def test_a_saved_model_predicts_the_same(
        self, model: ff.Model, dataset: ff.PreparedDataset, tmp_path: Path
    ) -> None:
        model.save(tmp_path / "m")
        loaded = ff.load(tmp_path / "m")
        np.testing.assert_array_equal(loaded.predict_proba(dataset.test), model.predict_proba(dataset.test))
        assert loaded.best_epoch_ == model.best_epoch_
        assert len(loaded.history_) == 8
        with pytest.raises(InputError, match="evaluate needs the dataset of the model"):
            loaded.evaluate()

    def test_an_altered_file_is_refused(self, model: ff.Model, tmp_path: Path) -> None:
        model.save(tmp_path / "m")
        weights = tmp_path / "m/weights.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
        with pytest.raises(ArtifactError):
            ff.load(tmp_path / "m")

    def test_the_exported_graph_equals_the_model(self, model: ff.Model, tmp_path: Path) -> None:
        differences = model.export(tmp_path / "m.onnx")
        assert (tmp_path / "m.onnx").stat().st_size > 1000
        assert max(differences.values()) < 1e-4

    def test_an_unknown_model_is_refused(self) -> None:
        with pytest.raises(InputError, match="'nothing' is neither; train it first"):
            ff.load("nothing")


def test_the_notebook_runs(tmp_path: Path) -> None:
    """Run the code cells of the notebook one after the other, as a kernel would."""
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 8
    assert all(cell["outputs"] for cell in cells)
    source = "\n\n".join("".join(cell["source"]) for cell in cells)
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "wine.onnx").is_file()
