"""Contract of every kind of data."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import TypeAdapter

from fivefold.config.datasets import DatasetConfig as Params
from fivefold.config.models import Model
from fivefold.data.dataset import SPLITS, Dataset
from fivefold.data.prepare import prepare
from fivefold.data.storage import load_dataset, save_dataset, write_manifest
from fivefold.errors import DataError
from fivefold.evaluation.predict import predict
from fivefold.models.inference import Preprocess
from fivefold.preprocessing.pipeline import Pipeline
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.training.fit import fit

BLOCKS: TypeAdapter[Any] = TypeAdapter(Params)
N = 120
DRAWS = 4
"""Number of permutations of the target over which the score is averaged."""
DRAWN = {"by": "stratified", "validation": 24, "test": 36}

Rows = dict[str, np.ndarray[Any, Any]]


def rows(seed: int) -> Rows:
    """Return the values from which every kind builds its samples: a learnable target, noise, the order of a series."""
    random = np.random.default_rng(seed)
    answer = random.permutation(np.arange(N) % 2)
    noise = random.normal(size=N)
    return {"answer": answer, "clue": random.normal(answer * 4.0, 1.0), "noise": noise, "order": np.arange(N)}


@dataclass(frozen=True)
class Kind:
    """A kind of data, and the function that writes it."""

    name: str
    write: Callable[[Path, Rows], dict[str, Any]]


def table(folder: Path, r: Rows) -> dict[str, Any]:
    words = np.array(["low", "red", "green", "blue"])[(r["clue"].astype(int) % 4)]
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.round(r["noise"] * 100), unit="D")
    frame = pd.DataFrame({"clue": r["clue"], "noise": r["noise"], "word": words, "day": day, "answer": r["answer"]})
    frame.loc[::7, "noise"] = np.nan
    frame.to_csv(folder / "a.csv", index=False)
    cleaning = {"missing": {"add_indicator": True}, "clip": 5.0, "min_frequency": 0.02}
    return {"source": "a.csv", "target": "answer", "split": DRAWN, "normalize": "standard", **cleaning}


def images(folder: Path, r: Rows) -> dict[str, Any]:
    noise = np.random.default_rng(0).integers(0, 60, (N, 6, 5, 3))
    x = np.clip(noise + r["clue"][:, None, None, None] * 20 + 40, 0, 255).astype(np.uint8)
    np.savez(folder / "a.npz", x=x, y=r["answer"])
    return {"source": "a.npz", "split": DRAWN, "normalize": "standard"}


def sequences(folder: Path, r: Rows) -> dict[str, Any]:
    lengths = 3 + np.arange(N) % 5 + (r["clue"] > 500) * 9  # altered rows are longer
    steps = np.concatenate([np.arange(n) for n in lengths])
    spread = {name: np.repeat(values, lengths) for name, values in r.items()}
    frame = pd.DataFrame({"series": np.repeat(np.arange(N), lengths), "t": steps, "label": spread["answer"]})
    frame["a"], frame["b"] = spread["clue"] * (1 + 0.1 * steps), spread["noise"]
    frame.to_csv(folder / "a.csv", index=False)
    return {"source": "a.csv", "split": DRAWN, "normalize": "robust"}


def series(folder: Path, r: Rows) -> dict[str, Any]:
    wave = np.sin(np.arange(N) / 3)
    load = (wave + 0.1 * r["noise"])[r["order"]]
    frame = pd.DataFrame({"time": pd.date_range("2020-01-01", periods=N), "load": load})
    frame["heat"] = r["clue"]
    frame.to_csv(folder / "a.csv", index=False)
    split = {"by": "time", "validation": 24, "test": 36}
    columns = {"time": "time", "targets": ["load"], "exogenous": ["heat"], "window": 8, "horizon": 2}
    return {"source": "a.csv", "task": "forecasting", **columns, "split": split, "normalize": "minmax"}


def text(folder: Path, r: Rows) -> dict[str, Any]:
    mood = np.where(r["clue"] > 2, "good fine", "bad poor")
    odd = np.where(r["noise"] > 2, "odd", "")
    mails = [f"{m} word{i % 9} {o}" for i, (m, o) in enumerate(zip(mood, odd, strict=True))]
    pd.DataFrame({"text": mails, "label": r["answer"]}).to_csv(folder / "a.csv", index=False)
    return {"source": "a.csv", "target": "label", "max_length": 6, "split": DRAWN}


def unlabeled(write: Callable[[Path, Rows], dict[str, Any]]) -> Callable[[Path, Rows], dict[str, Any]]:
    """Return a function that writes the same samples without their target."""

    def write_unlabeled(folder: Path, r: Rows) -> dict[str, Any]:
        options = write(folder, r)
        if write is images:
            np.savez(folder / "a.npz", x=np.load(folder / "a.npz")["x"])
        else:
            pd.read_csv("a.csv").drop(columns=["answer", "label"], errors="ignore").to_csv("a.csv", index=False)
        options.pop("target", None)
        return {**options, "kind": write.__name__, "task": "unsupervised", "split": {**DRAWN, "by": "random"}}

    write_unlabeled.__name__ = f"unlabeled_{write.__name__}"
    return write_unlabeled


KINDS = (table, images, sequences, series, text)
UNLABELED = tuple(map(unlabeled, (table, images, sequences)))


@pytest.fixture(params=(*KINDS, *UNLABELED), ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kind:
    monkeypatch.chdir(tmp_path)
    return Kind(request.param.__name__, request.param)


def prepared(kind: Kind, r: Rows, seed: int = 3) -> tuple[Dataset, Pipeline]:
    return prepare_block({"kind": kind.name, "task": "classification", **kind.write(Path(), r)}, seed)


def prepare_block(options: dict[str, Any], seed: int = 3) -> tuple[Dataset, Pipeline]:
    block = BLOCKS.validate_python(options, strict=False)
    dataset, _ = prepare(block, seed)
    return dataset, fit_scaling(dataset.train.x, dataset.schema, block)


def content(dataset: Dataset, pipeline: Pipeline, folder: Path) -> dict[str, bytes]:
    """Return all inputs of training: schema, fitted pipeline, training and validation rows."""
    folder.mkdir()
    save_dataset(dataset, folder)
    pipeline.save(folder / "chain.safetensors")
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in files.items() if not name.startswith("test/")}


class TestEveryKind:
    def test_splits_are_disjoint_and_complete(self, kind: Kind) -> None:
        dataset, _ = prepared(kind, rows(1))
        used = np.concatenate([samples.rows for samples in dataset.splits().values()])
        assert len(set(used.tolist())) == len(used)
        assert len(used) == (N - 8 - 2 + 1 - 2 if kind.name == "series" else N)  # two windows overlap the cuts
        for samples in dataset.splits().values():
            assert samples.x.shape[1:] == dataset.schema.shape
            assert len(samples.x) == len(samples.y) == len(samples.rows) > 0

    def test_altered_test_rows_do_not_change_training_inputs(self, kind: Kind, tmp_path: Path) -> None:
        dataset, pipeline = prepared(kind, rows(1))
        before = content(dataset, pipeline, tmp_path / "before")
        altered = {name: values.copy() for name, values in rows(1).items()}
        position = dataset.test.rows
        altered["clue"][position] = altered["clue"][position] * 50 + 999
        altered["noise"][position] += 77
        other, other_pipeline = prepared(kind, altered)
        np.testing.assert_array_equal(other.test.rows, position)
        assert (other.test.x != dataset.test.x).any()
        assert content(other, other_pipeline, tmp_path / "after") == before

    def test_a_seed_determines_the_split(self, kind: Kind, tmp_path: Path) -> None:
        one, two = (content(*prepared(kind, rows(1)), tmp_path / name) for name in ("one", "two"))
        assert one == two
        other, _ = prepared(kind, rows(1), seed=4)
        same = np.array_equal(other.test.rows, prepared(kind, rows(1))[0].test.rows)
        assert same == (kind.name == "series")

    def test_saving_and_loading_changes_nothing(self, kind: Kind, tmp_path: Path) -> None:
        dataset, pipeline = prepared(kind, rows(1))
        save_dataset(dataset, tmp_path)
        pipeline.save(tmp_path / "chain.safetensors")
        write_manifest(tmp_path)
        loaded, other_pipeline = load_dataset(tmp_path), Pipeline.load(tmp_path / "chain.safetensors")
        assert loaded.schema == dataset.schema
        for name in SPLITS:
            np.testing.assert_array_equal(getattr(loaded, name).x, getattr(dataset, name).x)
            assert isinstance(getattr(loaded, name).x, np.memmap)
        np.testing.assert_array_equal(other_pipeline(loaded.test.x), pipeline(dataset.test.x))

    def test_the_pipeline_returns_finite_features_of_its_output_shape(self, kind: Kind) -> None:
        dataset, pipeline = prepared(kind, rows(1))
        for samples in dataset.splits().values():
            features = pipeline(samples.x)
            assert features.shape == (len(samples), *pipeline.output_shape(dataset.schema.shape))
            assert np.isfinite(features).all()

    def test_the_pipeline_is_the_same_in_torch(self, kind: Kind) -> None:
        dataset, pipeline = prepared(kind, rows(1))
        x = torch.from_numpy(np.array(dataset.test.x))
        np.testing.assert_allclose(Preprocess(pipeline)(x).numpy(), pipeline(dataset.test.x), rtol=1e-5, atol=1e-6)

    def test_the_schema_is_restored_from_json(self, kind: Kind) -> None:
        schema = prepared(kind, rows(1))[0].schema
        assert type(schema).from_json(schema.model_dump_json(), "here") == schema
        expected = {"series": len(schema.values)} | dict.fromkeys((write.__name__ for write in UNLABELED), 0)
        assert schema.n_outputs == expected.get(kind.name, 2)

    @pytest.mark.parametrize("kind", UNLABELED, indirect=True, ids=lambda kind: kind.__name__)
    def test_without_a_target_there_are_no_outputs(self, kind: Kind) -> None:
        dataset, _ = prepared(kind, rows(1))
        assert (dataset.schema.target, dataset.schema.classes, dataset.schema.values) == ("", (), ())
        assert all(samples.y.shape == (len(samples), 0) for samples in dataset.splits().values())

    @pytest.mark.parametrize("kind", KINDS, indirect=True, ids=lambda kind: kind.__name__)
    def test_the_target_is_learned_and_a_permuted_one_is_not(self, kind: Kind, tmp_path: Path) -> None:
        assert score(kind, rows(1), tmp_path / "learned") > (0.5 if kind.name == "series" else 0.85)
        random = np.random.default_rng(7)
        drawn = [
            {**rows(1), "answer": random.permutation(rows(1)["answer"]), "order": random.permutation(N)}
            for _ in range(DRAWS)
        ]
        scores = [score(kind, r, tmp_path / str(i)) for i, r in enumerate(drawn)]
        # a random guess on 36 rows has standard deviation 0.083, the mean of four 0.042; a constant also scores 0.5
        # R2 of a guess is at most r**2, its correlation with 37 steps squared: 37 r**2 is chi-squared with one degree
        # of freedom, and the mean of four r**2 is above 0.125 once in a thousand draws; bad guesses are far below 0
        chance = 0.0 if kind.name == "series" else 0.5
        assert np.mean(scores) < chance + 0.125
        assert kind.name == "series" or np.mean(scores) > chance - 0.125


ODD = [
    # kind, column, a cell of another type, message; empty for a category
    (table, "clue", "soon", "column 'clue' must contain finite numbers up to 1e+37, but contains 'soon' in row {row};"),
    (
        table,
        "noise",
        "2024-01-01",
        "column 'noise' must contain finite numbers up to 1e+37, but contains '2024-01-01'",
    ),
    (table, "day", "soon", "column 'day' must contain ISO dates, but contains 'soon' in row {row};"),
    (table, "day", "7.5", "column 'day' must contain ISO dates, but contains '7.5' in row {row};"),
    (table, "word", "7.5", ""),
    (table, "word", "2024-01-01", ""),
    (sequences, "a", "soon", "column 'a' must contain finite numbers up to 1e+37, but contains 'soon' in row {row};"),
    (
        sequences,
        "t",
        "soon",
        "column 't' must contain an ISO date or a number in every row, but row {row} contains 'soon';",
    ),
    (
        series,
        "heat",
        "soon",
        "column 'heat' must contain finite numbers up to 1e+37, but contains 'soon' in row {row};",
    ),
    (
        series,
        "time",
        "soon",
        "column 'time' must contain an ISO date or a number in every row, but row {row} contains",
    ),
    (text, "text", "7.5", ""),
]


@pytest.mark.parametrize(("write", "column", "cell", "line"), ODD)
def test_a_test_cell_of_another_type_is_reported_or_does_not_change_training_inputs(
    write: Callable[..., dict[str, Any]],
    column: str,
    cell: str,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"kind": write.__name__, "task": "classification", **write(Path(), rows(1))}
    dataset, pipeline = prepare_block(options)
    frame = pd.read_csv("a.csv", dtype=str, keep_default_na=False)
    position = int(dataset.test.rows[0])
    if write is sequences:
        position = int(np.flatnonzero(frame["series"] == str(position))[0])
    frame.loc[position, column] = cell
    frame.to_csv("a.csv", index=False)
    if line:
        with pytest.raises(DataError, match=re.escape(line.format(row=position + 1))):
            prepare_block(options)
    if not line or write is table:
        lenient = prepare_block({**options, "checks": {"mixed_types": "warning"}})
        assert content(*lenient, tmp_path / "after") == content(dataset, pipeline, tmp_path / "before")


def score(kind: Kind, r: Rows, folder: Path) -> float:
    """Return test accuracy, or R2 of a series, of a small network."""
    dataset, pipeline = prepared(kind, r)
    tree = {
        "dataset": "d",
        "depends_on": "none",
        "select": {"method": "none"},
        "network": {"family": "mlp", "hidden": [16]},
        "training": {"max_epochs": 30, "optimizer": {"name": "adam", "lr": 0.02}},
    }
    model = Model.model_validate_json(json.dumps(tree))
    fitted = fit("m", model, dataset, pipeline, seed=1, checkpoint_folder=folder, on_epoch=lambda *_: None)
    p, y = predict(fitted.trained_model.model, np.asarray(dataset.test.x)), dataset.test.y
    if not dataset.schema.classes:
        return float(1 - ((p - y) ** 2).sum() / ((y - y.mean(axis=0)) ** 2).sum())
    return float((p.argmax(axis=1) == y).mean())
