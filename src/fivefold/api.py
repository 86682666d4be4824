"""The pipeline from Python: prepare data, fit a model, evaluate, cross-validate and search, without DVC and MLflow.

Blocks are those of params.yaml, as dictionaries or as objects of `fivefold.config`. `cross_validate`, `Study` and the
names that `load` accepts belong to the project in the current folder, whose params.yaml they read.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from pydantic import TypeAdapter, ValidationError

from . import paths
from .autoconfig.default_model import propose_model
from .autoconfig.detect import detect_dataset
from .config.datasets import DatasetConfig
from .config.loading import parse_params
from .config.models import Model as ModelConfig
from .config.training import PretrainedWeights
from .crossval.crossval import CrossValidation, Plan
from .crossval.summary import CrossValidationSummary, summarize
from .crossval.workers import run_folds
from .data.dataset import Array, Dataset, Split
from .data.prepare import prepare as prepare_dataset
from .data.schema import CheckResult, Schema
from .data.storage import load_dataset
from .errors import DataError, InputError, ParamsError, StudyError
from .evaluation.evaluate import evaluate
from .evaluation.predict import predict
from .models.serialization import TrainedModel, build_input_example, infer_signature, load_model, save_model
from .preprocessing.scaling import fit_scaling
from .preprocessing.selection import fit_selection
from .stages.outputs import atomic_output
from .tracking.pretrained import load_registered
from .training.fit import fit as fit_model
from .training.supervised import adapt_dataset
from .tuning.execution.run import run_study
from .tuning.execution.storage import translate_storage_errors
from .tuning.execution.trials import TrialQueue
from .tuning.results.apply import apply_trial, write_params
from .tuning.results.facts import analyze_study

Block = Mapping[str, Any]

DATASET_ADAPTER: TypeAdapter[DatasetConfig] = TypeAdapter(DatasetConfig)

TRAINING_DEFAULTS: Block = {
    "optimizer": {"name": "adamw", "lr": 0.003, "weight_decay": 0.01},
    "schedule": {"name": "one_cycle"},
    "gradient_clip_norm": 1.0,
}
"""Training options of `fit` where a model block sets nothing: those of a new project's params.yaml."""


@dataclass(frozen=True)
class PreparedDataset(Dataset):
    """A dataset that was read, checked and split.

    Attributes:
        schema: names, shape and classes.
        train, validation, test: splits with `x` (n, *shape) in raw units and `y` (n,).
        config: the dataset block.
        check_results: what the data checks found, the most serious first.
    """

    config: DatasetConfig
    check_results: tuple[CheckResult, ...]


def prepare(
    source: str | Path | pd.DataFrame | tuple[Array, Array] | Block | DatasetConfig,
    target: str = "",
    *,
    kind: str = "",
    task: str = "",
    seed: int = 0,
    **options: Any,
) -> PreparedDataset:
    """Read, check and split a dataset.

    Args:
        source: a file or folder, a DataFrame, a pair of arrays x (n, ...) and y (n,), or a dataset block. The block of
            anything but a block is inferred, as `fivefold add` does it.
        target: the column to predict, of a table; may be omitted where it can be inferred.
        kind: table, images, sequences, series or text; inferred by default.
        task: classification, regression, forecasting or unsupervised; inferred by default.
        seed: of the split.
        options: further keys of the dataset block, which override inferred ones, for example
            `split={"by": "random", "validation": 0.2, "test": 0.2}` or `drop=["id"]`.

    Raises:
        DataError: the source cannot be read or breaks a rule, or a check finds an error.
        ParamsError: an option is not a valid key of a dataset block.
    """
    if isinstance(source, Mapping):
        return _prepare_block(dict(source) | options, seed)
    if isinstance(source, pd.DataFrame | tuple):
        with _saved_source(source) as path:
            return _prepare_inferred(path, target, kind, task, seed, options)
    if isinstance(source, str | Path):
        return _prepare_inferred(Path(source), target, kind, task, seed, options)
    return _prepare_block(source.model_dump(mode="json", exclude_unset=True) | options, seed)


@contextmanager
def _saved_source(source: pd.DataFrame | tuple[Array, Array]) -> Iterator[Path]:
    """Yield a temporary file that the readers accept; errors name the object instead of the file."""
    with TemporaryDirectory() as folder:
        if isinstance(source, pd.DataFrame):
            path, name = Path(folder) / "frame.parquet", "DataFrame"
            source.to_parquet(path, index=False)
        else:
            path, name = Path(folder) / "arrays.npz", "arrays"
            x, y = map(np.asarray, source)
            if x.ndim == 2:
                path = path.with_suffix(".parquet")
                frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])])
                frame.assign(target=y).to_parquet(path, index=False)
            else:
                np.savez(path, allow_pickle=False, x=x, y=y)
        try:
            yield path
        except DataError as error:
            raise DataError(str(error).replace(str(path), name)) from None


def _prepare_inferred(path: Path, target: str, kind: str, task: str, seed: int, options: Block) -> PreparedDataset:
    if not path.exists():
        raise DataError(f"a source must be a file or folder, but {path} does not exist; correct the path")
    if path.name == "arrays.parquet" and not target:
        target = "target"
    found = detect_dataset(path, target, kind, task=task)
    return _prepare_block({"source": str(path), **found.block, **options}, seed)


def _prepare_block(block: Block, seed: int) -> PreparedDataset:
    try:
        config = DATASET_ADAPTER.validate_python(dict(block), strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ParamsError(f"dataset: {where}: {first['msg']}; correct the option") from None
    dataset, results = prepare_dataset(config, seed)
    return PreparedDataset(**vars(dataset), config=config, check_results=tuple(results))


class Model:
    """A trained model.

    Attributes:
        schema_: names, shape and classes of the data.
        history_: one row per epoch: `epoch`, the learning rate and the losses and metrics.
        best_epoch_: the epoch whose weights the model has, from 1.
        diagnostics_: findings of the training diagnostics, each with rule, level and message.
    """

    def __init__(
        self,
        trained_model: TrainedModel,
        history: pd.DataFrame,
        diagnostics: Block,
        dataset: Dataset | None = None,
    ) -> None:
        self._trained_model, self._diagnostics, self._dataset = trained_model, diagnostics, dataset
        self.schema_: Schema = trained_model.schema
        self.history_ = history
        self.best_epoch_ = int(trained_model.metadata.get("best_epoch", 0))
        self.diagnostics_: list[dict[str, Any]] = list(diagnostics["findings"])

    def __repr__(self) -> str:
        network = self._trained_model.network_config.family
        return f"Model(family={network!r}, task={self.schema_.task!r}, shape={self.schema_.shape})"

    def predict(self, x: Array | Split) -> Array:
        """Return predictions (n,) for prepared rows x (n, *shape): class names, or values in the target's unit.

        Several values or targets give an array (n, k); an autoencoder returns reconstructions, latent codes or anomaly
        scores, according to its `mode`.

        Raises:
            TrainingError: a prediction is not finite.
        """
        out = self._outputs(x)
        if self.schema_.extra_targets:
            return out
        if self._has_classes:
            return np.asarray(np.array(self.schema_.classes)[out.argmax(axis=1)])
        return out[:, 0] if out.ndim == 2 and out.shape[1] == 1 else out

    def predict_proba(self, x: Array | Split) -> Array:
        """Return class probabilities (n, classes) for prepared rows x (n, *shape), in the order of `schema_.classes`.

        Raises:
            InputError: the model is not a classifier.
        """
        if not self._has_classes or self.schema_.extra_targets:
            raise InputError("predict_proba needs a classifier with a single target; use predict")
        return self._outputs(x)

    @property
    def _has_classes(self) -> bool:
        supervised = infer_signature(self._trained_model.network_config, self.schema_).output_name == "probabilities"
        return supervised and bool(self.schema_.classes)

    def _outputs(self, x: Array | Split) -> Array:
        rows = np.asarray(x.x if isinstance(x, Split) else x)
        if rows.shape[1:] != tuple(self.schema_.shape):
            raise InputError(
                f"rows must have the shape {self.schema_.shape} of prepared data, but have {rows.shape[1:]}; pass"
                " dataset.test.x or rows that `prepare` returned"
            )
        return predict(self._trained_model.model, rows)

    def evaluate(self, split: str = "test") -> dict[str, float]:
        """Return the metrics of a split of the dataset that the model was fitted on.

        Args:
            split: train, validation or test.

        Raises:
            InputError: there is no such split, or the model was loaded without its dataset.
        """
        names = {"train": "train", "validation": "val", "test": "test"}
        if split not in names:
            raise InputError(f"split must be one of {', '.join(names)}, but is {split!r}; choose one of them")
        if self._dataset is None:
            raise InputError("evaluate needs the dataset of the model, but it was loaded without; use predict")
        report = evaluate("model", self._trained_model, self._dataset, self.history_, self._diagnostics["measurements"])
        return dict(report.scores[names[split]])

    def save(self, folder: str | Path) -> None:
        """Write weights, metadata, history and diagnostics to `folder`, with a manifest of SHA-256 hashes."""
        with atomic_output(Path(folder)) as staging:
            save_model(self._trained_model, staging)
            self.history_.to_csv(staging / "history.csv", index=False)
            (staging / "diagnostics.json").write_text(json.dumps(self._diagnostics, indent=2) + "\n")

    def export(self, path: str | Path) -> dict[str, float]:
        """Write the model with its preprocessing as one ONNX file and compare it with PyTorch on test rows.

        Returns:
            The largest difference by batch size.

        Raises:
            ParityError: a difference exceeds the tolerance.
            InputError: the model was loaded without its dataset.
        """
        from .export import check_parity, export_onnx  # onnx is imported by those who export

        if self._dataset is None:
            raise InputError("export needs the dataset of the model, but it was loaded without; fit it again")
        x = self._dataset.test.x
        signature = infer_signature(self._trained_model.network_config, self.schema_)
        export_onnx(self._trained_model, build_input_example(signature, x, 2), Path(path))
        return check_parity(self._trained_model, x, Path(path))


def fit(
    model: Block | ModelConfig | None,
    dataset: PreparedDataset,
    *,
    seed: int = 0,
    callbacks: Sequence[pl.Callback] = (),
    on_epoch: Callable[[int, Mapping[str, float], bool], None] | None = None,
    verbose: bool = True,
) -> Model:
    """Fit preprocessing and network on the training rows of a dataset; validation rows choose the epoch.

    Args:
        model: a model block, or parts of one, `{"network": {...}, "training": {...}, "select": {...}}`; what is missing
            is proposed for the dataset. None proposes all of it.
        dataset: as `prepare` returns it.
        seed: of weights, batches and dropout.
        callbacks: Lightning callbacks.
        on_epoch: called after each epoch with its number from 0, its metrics, and whether it is the last.
        verbose: whether to show progress.

    Raises:
        ParamsError: the block is not valid, or does not fit the dataset.
        TrainingError: a loss is not finite, or memory does not suffice.
    """
    config = _model_config(model, dataset, seed)
    scaling = fit_scaling(dataset.train.x, dataset.schema, dataset.config)
    x, y = scaling(dataset.train.x), dataset.train.y
    selected = fit_selection(x, y, dataset.schema, config.select, seed, scaling.feature_names)
    pipeline = scaling.with_steps(*selected.steps, feature_names=selected.feature_names or None)
    plain = Dataset(dataset.schema, dataset.train, dataset.validation, dataset.test, checks=dataset.checks)
    rows = adapt_dataset(config, dataset.config, plain, pipeline)
    with TemporaryDirectory() as checkpoints:
        result = fit_model(
            "model",
            config,
            *rows,
            seed=seed,
            checkpoint_folder=Path(checkpoints),
            on_epoch=on_epoch or (lambda *_: None),
            callbacks=callbacks,
            verbose=verbose,
        )
    known = {"name": "model", "fingerprint": "", "params": {"seed": seed, **config.model_dump(mode="json")}}
    trained = TrainedModel(
        result.trained_model.model,
        result.trained_model.schema,
        result.trained_model.network_config,
        result.trained_model.loss_config,
        known | result.metadata(),
    )
    return Model(trained, result.history, json.loads(result.diagnosis.to_json()), plain)


def _model_config(model: Block | ModelConfig | None, dataset: PreparedDataset, seed: int) -> ModelConfig:
    """Return a complete model block, checked against the dataset as params.yaml is."""
    block = propose_model("data", dataset)
    if isinstance(model, ModelConfig):
        block = model.model_dump(mode="json", exclude_unset=True) | {"dataset": "data", "depends_on": "none"}
    elif model is not None:
        if model.get("depends_on", "none") != "none":
            raise ParamsError("depends_on must be none here, since `fit` trains a single model; use a project for it")
        block |= {key: value for key, value in model.items() if key != "training"} | {"dataset": "data"}
        block["training"] = dict(block["training"]) | dict(model.get("training", {}))
    tree = {
        "seed": seed,
        "training": dict(TRAINING_DEFAULTS),
        "datasets": {"data": dataset.config.model_dump(mode="json", exclude_unset=True)},
        "models": {"model": block},
    }
    return parse_params(tree).models["model"]


def load(source: str | Path) -> Model:
    """Load a trained model.

    Args:
        source: the name of a model of the project in the current folder; a folder that `Model.save` or the train stage
            wrote; or a registered version, `models:/fivefold-NAME@ALIAS` or `models:/fivefold-NAME/VERSION`.

    Raises:
        ArtifactError: a file is missing or was altered.
        InputError: there is no such model.
        TrackingError: MLflow cannot be reached.
    """
    text = str(source)
    if text.startswith("models:/"):
        name, at, alias = text.removeprefix("models:/").partition("@")
        name, _, version = name.partition("/")
        which = {"alias": alias} if at else {"version": int(version)} if version.isdigit() else {}
        model = name.removeprefix("fivefold-")
        registered = load_registered(model, PretrainedWeights.model_validate({"model": model, **which}))
        assert registered is not None
        return Model(registered.trained_model, pd.DataFrame(), {"findings": [], "measurements": {}})
    folder = Path(source)
    if not folder.is_dir():
        folder = paths.model_dir(text)
    if not folder.is_dir():
        raise InputError(f"a model must be a folder or a name in params.yaml, but {text!r} is neither; train it first")
    trained = load_model(folder)
    prepared = paths.prepared_dir(str(trained.metadata["params"]["dataset"]))
    dataset = load_dataset(prepared) if prepared.is_dir() else None
    diagnostics = json.loads((folder / "diagnostics.json").read_text())
    return Model(trained, pd.read_csv(folder / "history.csv"), diagnostics, dataset)


class CVResult:
    """Scores of a cross-validation.

    Attributes:
        scores: one row per model, repeat and fold, with one column per metric.
    """

    def __init__(self, summary: CrossValidationSummary) -> None:
        self._summary = summary
        rows = [{"model": r.model, "repeat": r.repeat, "fold": r.fold, **r.scores} for r in summary.results]
        self.scores = pd.DataFrame(rows)

    def summary(self) -> pd.DataFrame:
        """Return mean, standard deviation and 95 % interval of each metric, one row per model and metric."""
        rows = [
            {"model": name, "metric": metric, **estimate._asdict()}
            for name, estimates in self._summary.estimates.items()
            for metric, estimate in estimates.items()
        ]
        return pd.DataFrame(rows)

    def compare(self) -> pd.DataFrame:
        """Return differences between models by the corrected resampled t-test, one row per pair and metric.

        `p_adjusted` is corrected for the number of pairs (Holm 1979).
        """
        rows = [
            {"model_a": pair.model_a, "model_b": pair.model_b, "metric": metric, **difference._asdict()}
            | {"p_adjusted": pair.adjusted_p_values[metric]}
            for pair in self._summary.comparisons
            for metric, difference in pair.differences.items()
        ]
        return pd.DataFrame(rows)


def cross_validate(
    models: str | Sequence[str], *, folds: int = 5, repeats: int = 1, seed: int | None = None, n_workers: int = 1
) -> CVResult:
    """Cross-validate models of the project in the current folder; rows of the test set are in no fold.

    Args:
        models: a name or names of models in params.yaml, of one dataset.
        folds: number of folds, 2 or more.
        repeats: how often rows are divided into folds, each time differently.
        seed: of folds and trainings; None uses that of params.yaml.
        n_workers: processes.

    Raises:
        ParamsError: the models cannot be compared.
        StudyError: a fold ended without a score.
    """
    names = (models,) if isinstance(models, str) else tuple(models)
    crossval = CrossValidation.read(Plan(model_names=names, folds=folds, repeats=repeats, seed=seed))
    with run_folds(crossval, n_workers) as results:
        summary = summarize(crossval, list(results))
    if failed := summary.failed_results:
        raise StudyError(
            f"every fold must have a score, but fold {failed[0].fold} of {failed[0].model} has none: {failed[0].error}"
        )
    return CVResult(summary)


class Study:
    """A hyperparameter search over the `search` block of a model of the project in the current folder.

    Args:
        model: name of a model in params.yaml.
        name: of the study; the model's by default. A study of that name is continued.

    Attributes:
        best_params_: dotted key of the model block -> value of the best trial.
        best_score_: mean over folds of the best trial.
    """

    def __init__(self, model: str, name: str = "") -> None:
        self.model, self.name = model, name or model

    def run(self, n_trials: int | None = None, n_workers: int = 1) -> "Study":
        """Run trials until the study has `n_trials` in total, and return the study itself.

        Args:
            n_trials: in total, trials of earlier runs included; None uses `study.n_trials` of params.yaml.
            n_workers: processes.

        Raises:
            ParamsError: the model has no `search`, or the study belongs to another configuration.
            StudyError: a worker cannot continue, or no trial is complete.
        """
        run_study(self.model, self.name, n_trials, n_workers)
        with translate_storage_errors(self.name):
            result = analyze_study(TrialQueue.load(self.name))
        best = result.get_trial(result.best_trial_number)
        if best is not None:
            self.best_params_, self.best_score_ = dict(best.params), best.score
        self._trials = result.trials
        return self

    def trials_dataframe(self) -> pd.DataFrame:
        """Return one row per trial: number, state, score, standard deviation over folds, seconds and parameters."""
        if not hasattr(self, "_trials"):
            with translate_storage_errors(self.name):
                self._trials = analyze_study(TrialQueue.load(self.name)).trials
        rows: list[dict[str, Any]] = [
            {"number": t.number, "state": t.state, "score": t.score, "std": t.std, "seconds": t.seconds}
            | {f"params_{key}": value for key, value in t.params.items()}
            for t in self._trials
        ]
        return pd.DataFrame(rows)

    def apply(self, trial: int | None = None) -> None:
        """Write the parameters of the best trial, or of trial number `trial`, into params.yaml; comments are preserved.

        Raises:
            StudyError: no trial is complete, or params.yaml has changed so that it does not fit.
        """
        with translate_storage_errors(self.name):
            found = apply_trial(self.name, trial)
        found.raise_if_mismatched()
        write_params(found)
