"""A trained model in Python: predict, evaluate, save, load, export."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import paths
from ..config.training import PretrainedWeights
from ..data.dataset import Array, Dataset, Split
from ..data.schema import Schema
from ..data.storage import load_dataset
from ..errors import InputError
from ..evaluation.evaluate import evaluate
from ..evaluation.predict import predict
from ..models.serialization import TrainedModel, build_input_example, infer_signature, load_model, save_model
from ..stages.outputs import atomic_output
from ..tracking.pretrained import load_registered
from .preparation import Block


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
        from ..export import check_parity, export_onnx  # onnx is imported by those who export

        if self._dataset is None:
            raise InputError("export needs the dataset of the model, but it was loaded without; fit it again")
        x = self._dataset.test.x
        signature = infer_signature(self._trained_model.network_config, self.schema_)
        export_onnx(self._trained_model, build_input_example(signature, x, 2), Path(path))
        return check_parity(self._trained_model, x, Path(path))


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
