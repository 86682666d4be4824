"""What each stage logs, read from the stage's outputs so that `fivefold sync` can log it again."""

import csv
import json
from importlib.metadata import version
from typing import Any

from .. import paths
from ..data.storage import MANIFEST, Manifest, load_dataset, manifest_sha256, sha256
from ..models.serialization import Signature, build_input_example
from ..training import image_grid
from ..training.diagnostics.summary import diagnostic_metrics
from .reporter import RunLogger, sanitize_name

RUNTIME_PACKAGES = ("numpy", "onnx", "onnxruntime")
"""Packages required by a registered graph."""

EXAMPLE_ROWS = 2
"""Rows of the input example."""

LOGGED_TAG = "logged.{}"
"""Tag of a run for which a stage was logged completely; `fivefold sync` logs stages without it."""


def log_inputs(run_logger: RunLogger, params: dict[str, Any]) -> None:
    """Log the parameters and the dataset of a training."""
    source = paths.prepared_dir(params["dataset"])
    run_logger.log_params(params | {"data": _dataset_params(json.loads((source / "dataset.json").read_text()))})
    run_logger.log_dataset(params["dataset"], source, load_dataset(source), manifest_sha256(source))
    run_logger.log_artifact(source / "checks.json", "data")


def _dataset_params(block: dict[str, Any]) -> dict[str, Any]:
    """Return the non-empty settings of a dataset; `columns` and `extra_targets`, which may be long, as JSON."""
    settings = {name: value for name, value in block.items() if value not in ("", None, [], {})}
    long = settings.keys() & {"columns", "extra_targets"}
    return settings | {name: json.dumps(settings[name]) for name in long}


def log_training(run_logger: RunLogger, model_name: str) -> None:
    """Log the outputs of train."""
    folder = paths.model_dir(model_name)
    metadata = json.loads((folder / "model.json").read_text())
    run_logger.set_tags(
        n_parameters=str(metadata["n_parameters"]), best_epoch=str(metadata["best_epoch"]), device=metadata["device"]
    )
    run_logger.set_tags(**_pretrained_tags(metadata))
    for pattern in ("selection.*", "projection.png"):
        for path in sorted(paths.selected_dir(model_name).glob(pattern)):
            run_logger.log_artifact(path, "selection")
    for file in ("model.json", "history.csv", "diagnostics.json"):
        run_logger.log_artifact(folder / file, "training")
    findings = json.loads((folder / "diagnostics.json").read_text())["findings"]
    for finding in findings:
        run_logger.log_diagnosis(finding["rule"], finding["message"])
    run_logger.set_tags(diagnostics=", ".join(finding["rule"] for finding in findings) or "no problems found")
    run_logger.set_tags(**{LOGGED_TAG.format("train"): "true"})


def log_history(run_logger: RunLogger, model_name: str) -> None:
    """Log the metrics of each epoch, as train does while it runs."""
    folder = paths.model_dir(model_name)
    with (folder / "history.csv").open() as file:
        rows = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
    measurements = json.loads((folder / "diagnostics.json").read_text())["measurements"]
    log_epoch = run_logger.epoch_logger(len(rows))
    for row in rows:
        epoch = int(row.pop("epoch")) - 1
        log_epoch(epoch, row | diagnostic_metrics(measurements, epoch), row is rows[-1])


def log_samples(run_logger: RunLogger, model_name: str) -> None:
    """Log the sample grids of each epoch, as train does while it runs."""
    log_grid = run_logger.sample_logger()
    for epoch, grid in image_grid.read_grids(paths.model_dir(model_name) / image_grid.ARCHIVE_NAME).items():
        log_grid(epoch, grid)


def log_evaluation(run_logger: RunLogger, model_name: str) -> None:
    """Log the outputs of evaluate; scores, which are those of the saved weights, at the step after the last epoch."""
    folder = paths.report_dir(model_name)
    metadata = json.loads((paths.model_dir(model_name) / "model.json").read_text())
    scores = json.loads((folder / "metrics.json").read_text())
    metrics = {f"{split}/{metric}": value for split, values in scores.items() for metric, value in values.items()}
    run_logger.log_metrics(metadata["epochs"] + 1, metrics)
    findings = json.loads((paths.model_dir(model_name) / "diagnostics.json").read_text())["findings"]
    description = _describe_run(metadata, scores, findings)
    run_logger.set_tags(**{"mlflow.note.content": description}, **_reference_tags(metadata))
    for path in (folder / "metrics.json", folder / "predictions.parquet"):
        run_logger.log_artifact(path, "evaluation")
    for path in sorted((folder / "plots").iterdir()):
        run_logger.log_artifact(path, "evaluation")
    run_logger.set_tags(**{LOGGED_TAG.format("evaluate"): "true"})


def _pretrained_tags(metadata: dict[str, Any]) -> dict[str, str]:
    """Return a tag with the registered version that a model was initialized from; none for random weights."""
    if "pretrained" not in metadata:
        return {}
    return {"pretrained": "{model} version {version}".format(**metadata["pretrained"])}


def _reference_tags(metadata: dict[str, Any]) -> dict[str, str]:
    """Return a tag with the reference classifier of a generative model and its digest; none without one."""
    if "reference" not in metadata:
        return {}
    return {"reference": "{model} (weights {digest:.12})".format(**metadata["reference"])}


def _describe_run(metadata: dict[str, Any], scores: dict[str, dict[str, float]], findings: list[dict[str, str]]) -> str:
    """Return the description of a run in MLflow's UI, in Markdown: model, findings of the diagnostics, scores."""
    family = metadata["params"]["network"]["family"]
    head = f"`{family}` with {metadata['n_parameters']:,} parameters on `{metadata['params']['dataset']}`"
    if "reference" in metadata:
        head += ", reference classifier `{model}` (weights {digest:.12})".format(**metadata["reference"])
    rows = [
        f"| {metric} | " + " | ".join(f"{scores[s][metric]:.4g}" for s in scores) + " |" for metric in scores["test"]
    ]
    notes = [f"**diagnostics, {finding['level']}**: {finding['message']}\n" for finding in findings]
    return "\n".join([head, "", *notes, "| | " + " | ".join(scores) + " |", "|---" * (len(scores) + 1) + "|", *rows])


def log_export(run_logger: RunLogger, model_name: str) -> None:
    """Log the exported graph as a version to register, with the outputs of train and the scores of test rows."""
    folder = paths.model_dir(model_name)
    path = folder / "model.onnx"
    metadata = json.loads((folder / "model.json").read_text())
    files = Manifest.model_validate_json((folder / MANIFEST).read_bytes()).files
    scores = json.loads((paths.report_dir(model_name) / "metrics.json").read_text())["test"]
    signature = Signature.from_dict(metadata["signature"])
    x = load_dataset(paths.prepared_dir(metadata["params"]["dataset"])).test.x
    run_logger.log_model_version(
        path,
        [folder / file for file in (*files, MANIFEST)],
        sha256=sha256(path),
        training_digest=manifest_sha256(folder),
        model=f"fivefold-{model_name}",
        **signature._asdict(),
        input_example=json.dumps(build_input_example(signature, x, EXAMPLE_ROWS).tolist()),
        pip_requirements=tuple(f"{package}=={version(package)}" for package in RUNTIME_PACKAGES),
        tags={
            "fivefold.fingerprint": metadata["fingerprint"],
            **_pretrained_tags(metadata),
            **_reference_tags(metadata),
            **({"fivefold.target_class": signature.target_class} if signature.target_class else {}),
            **{sanitize_name(f"test.{metric}"): f"{value:.4f}" for metric, value in scores.items()},
        },
    )
    run_logger.set_tags(**{LOGGED_TAG.format("export"): "true"})
