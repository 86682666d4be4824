"""Cost of tracking: registering a model, sending metrics, and a training with logging against one without.

Everything uses a separate store in a temporary folder. MLflow is imported only after the trainings, because a stage
uses it in another process.
"""

import contextlib
import io
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np

from fivefold.config.loading import load_params
from fivefold.config.models import Model
from fivefold.data.dataset import Dataset
from fivefold.data.prepare import prepare
from fivefold.data.storage import manifest_sha256, sha256, write_manifest
from fivefold.export import export_onnx
from fivefold.models.serialization import save_model
from fivefold.preprocessing.pipeline import Pipeline
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.preprocessing.selection import fit_selection
from fivefold.tracking.reporter import RunLogger, open_run_logger
from fivefold.training.fit import FitResult, fit

from .measure import ROOT, Result, finish, seconds, table

MODEL = "mlp"
PAIRS = 11
"""Trainings with and without logging, alternating."""
REPEATS = 5
METRICS = 1000
METRICS_PER_STEP = 4
"""Number of metrics per epoch of a classifier."""


class Training:
    """The default model and its data, ready to be fitted repeatedly."""

    def __init__(self, work: Path) -> None:
        params = load_params()
        self.seed, self.work = params.seed, work
        self.model: Model = params.model(MODEL)
        block = params.dataset(self.model.dataset)
        self.dataset: Dataset = prepare(block, params.seed)[0]
        train, schema = self.dataset.train, self.dataset.schema
        scaling = fit_scaling(train.x, self.dataset.schema, block)
        selected = fit_selection(scaling(train.x), train.y, schema, self.model.select, params.seed)
        self.chain: Pipeline = scaling.with_steps(*selected.steps)

    def fit_without_logging(self) -> FitResult:
        """Fit without logging."""
        return self._fit(lambda *_: None)

    def fit_with_logging(self) -> float:
        """Fit with logging and return the seconds until the end of training; waits for the uploader afterwards."""
        started = time.perf_counter()
        with open_run_logger("train", MODEL, secrets.token_hex(16), wait=True) as logger:
            with logger.track_status():
                logger.log_params(self.model.model_dump(mode="json"))
                self._fit(logger.epoch_logger(self.model.training.max_epochs))
            return time.perf_counter() - started

    def _fit(self, on_epoch: Callable[[int, dict[str, float], bool], None]) -> FitResult:
        with contextlib.redirect_stdout(io.StringIO()):
            return fit(
                MODEL,
                self.model,
                self.dataset,
                self.chain,
                seed=self.seed,
                checkpoint_folder=self.work / secrets.token_hex(8),
                on_epoch=on_epoch,
            )


def time_trainings(training: Training) -> tuple[list[float], list[float]]:
    """Return the seconds of trainings without and with logging, alternating which is first."""
    training.fit_without_logging()  # warm-up
    without, with_logging = [], []
    for pair in range(PAIRS):
        for kind in (0, 1) if pair % 2 else (1, 0):
            if kind:
                with_logging.append(training.fit_with_logging())
            else:
                without.append(seconds(training.fit_without_logging))
    return without, with_logging


def send_metrics() -> list[float]:
    """Return the seconds of the uploader to send 1000 metrics, several times, each in a new run."""
    from fivefold.tracking.shipper import Shipper

    times = []
    for _ in range(REPEATS + 1):
        logger = RunLogger("train", "bench", secrets.token_hex(16))
        shipper = Shipper(logger.spool)
        shipper.send_unsent()  # creates the run
        for step in range(METRICS // METRICS_PER_STEP):
            logger.log_metrics(step, {f"metric/{i}": float(step) for i in range(METRICS_PER_STEP)})
        times.append(seconds(shipper.send_unsent))
    return times[1:]


def register_models(graph: Path, trained: Path, dataset: Dataset) -> list[float]:
    """Return the seconds to log, register and alias a model, several times; the first one includes imports."""
    from fivefold.tracking import events, store
    from fivefold.tracking.registry import register_version
    from fivefold.tracking.spool import Spool

    client, experiment = store.open_store()
    times = []
    for _ in range(REPEATS + 1):
        spool = Spool(secrets.token_hex(16))
        run = client.create_run(experiment, run_name="bench").info.run_id
        event = events.ModelVersion(
            spool_path=spool.copy_file(graph),
            sha256=sha256(graph),
            training_files=tuple(spool.copy_file(path) for path in sorted(trained.iterdir())),
            training_digest=manifest_sha256(trained),
            model="fivefold-bench",
            input_name="x",
            input_shape=dataset.schema.shape,
            input_dtype=str(dataset.test.x.dtype),
            output_name="probabilities",
            output_shape=(dataset.schema.n_outputs,),
            output_dtype="float32",
            input_example=str(dataset.test.x[:2].tolist()),
            pip_requirements=tuple(f"{package}=={version(package)}" for package in ("numpy", "onnx", "onnxruntime")),
            tags={},
        )
        times.append(seconds(lambda: register_version(client, run, event, spool)))  # noqa: B023 (called at once)
    return times


def main() -> int:
    os.chdir(ROOT)  # sources in params.yaml are relative to it
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DVC_ROOT"] = folder  # folder of the store and the spool
        training = Training(Path(folder))
        without, with_logging = time_trainings(training)
        graph = Path(folder) / "model.onnx"
        fitted, trained = training.fit_without_logging(), Path(folder) / "trained"
        trained_model = replace(fitted.trained_model, metadata={"name": MODEL, "fingerprint": "bench"})
        export_onnx(trained_model, np.array(training.dataset.test.x[:2]), graph)
        trained.mkdir()
        save_model(trained_model, trained)
        fitted.history.to_csv(trained / "history.csv", index=False)
        write_manifest(trained)
        sent = send_metrics()
        first, *later = register_models(graph, trained, training.dataset)
    per_metric = [1000 * duration / METRICS for duration in sent]
    rows = [
        ("fit without logging, s", median(without)),
        ("fit with logging, s", median(with_logging)),
        ("send a metric, ms", median(per_metric)),
        ("register, first time, s", first),
        ("register, later, s", median(later)),
    ]
    print(table(("what", "median"), rows))
    measured = {
        "fit_alone_seconds": without,
        "fit_reported_seconds": with_logging,
        "metric_milliseconds": per_metric,
        "register_first_seconds": first,
        "register_seconds": later,
    }
    return finish(
        "tracking",
        measured,
        [
            Result("register_seconds", median(later), 1),
            Result("metric_milliseconds", median(per_metric), 0.3),
            Result("fit_reported_per_alone", median(with_logging) / median(without), 1.05),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
