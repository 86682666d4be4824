"""What is told of each stage, read from what the stage wrote: so it can be told again by `fivefold sync`."""

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
"""Packages that a registered graph needs to run."""

EXAMPLE_ROWS = 2

LOGGED_TAG = "told.{}"
"""Tag of a run that has all that a stage says of it: `fivefold sync` tells what lacks it."""


def log_inputs(run_logger: RunLogger, params: dict[str, Any]) -> None:
    """Tell with which parameters and on which rows a model is trained."""
    source = paths.prepared_dir(params["dataset"])
    run_logger.log_params(params | {"data": _dataset_params(json.loads((source / "dataset.json").read_text()))})
    run_logger.log_dataset(params["dataset"], source, load_dataset(source), manifest_sha256(source))
    run_logger.log_artifact(source / "checks.json", "data")


def _dataset_params(block: dict[str, Any]) -> dict[str, Any]:
    """Return what a dataset's block says, without what is empty; of `columns`, which may be many, one value."""
    said = {name: value for name, value in block.items() if value not in ("", None, [], {})}
    return {name: json.dumps(value) if name in ("columns", "extra_targets") else value for name, value in said.items()}


def log_training(run_logger: RunLogger, model_name: str) -> None:
    """Tell what train wrote."""
    facts = json.loads((paths.model_dir(model_name) / "model.json").read_text())
    run_logger.set_tags(
        parameters=str(facts["n_parameters"]), best_epoch=str(facts["best_epoch"]), device=facts["device"]
    )
    run_logger.set_tags(**_pretrained_tags(facts))
    for pattern in ("selection.*", "map.png"):
        for path in sorted(paths.selected_dir(model_name).glob(pattern)):
            run_logger.log_artifact(path, "selection")
    for file in ("model.json", "history.csv", "diagnostics.json"):
        run_logger.log_artifact(paths.model_dir(model_name) / file, "training")
    findings = json.loads((paths.model_dir(model_name) / "diagnostics.json").read_text())["findings"]
    for finding in findings:
        run_logger.log_diagnosis(finding["rule"], finding["message"])
    run_logger.set_tags(diagnostics=", ".join(finding["rule"] for finding in findings) or "none")
    run_logger.set_tags(**{LOGGED_TAG.format("train"): "true"})


def log_history(run_logger: RunLogger, model_name: str) -> None:
    """Tell each epoch's metrics again."""
    with (paths.model_dir(model_name) / "history.csv").open() as file:
        rows = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
    measured = json.loads((paths.model_dir(model_name) / "diagnostics.json").read_text())["measurements"]
    tell = run_logger.epoch_logger(len(rows))
    for row in rows:
        epoch = int(row.pop("epoch")) - 1
        tell(epoch, row | diagnostic_metrics(measured, epoch), row is rows[-1])


def log_samples(run_logger: RunLogger, model_name: str) -> None:
    """Tell again what a model that makes images made, epoch by epoch."""
    tell = run_logger.sample_logger()
    for epoch, grid in image_grid.read_grids(paths.model_dir(model_name) / image_grid.ARCHIVE_NAME).items():
        tell(epoch, grid)


def log_evaluation(run_logger: RunLogger, model_name: str) -> None:
    """Tell what evaluate wrote; scores stand one step behind the last epoch, where the kept weights were scored."""
    folder = paths.report_dir(model_name)
    facts = json.loads((paths.model_dir(model_name) / "model.json").read_text())
    scores = json.loads((folder / "metrics.json").read_text())
    flat = {f"{split}/{metric}": value for split, values in scores.items() for metric, value in values.items()}
    run_logger.log_metrics(facts["epochs"] + 1, flat)
    findings = json.loads((paths.model_dir(model_name) / "diagnostics.json").read_text())["findings"]
    run_logger.set_tags(**{"mlflow.note.content": _describe_run(facts, scores, findings)}, **_reference_tags(facts))
    for path in (folder / "metrics.json", folder / "predictions.parquet"):
        run_logger.log_artifact(path, "evaluation")
    for path in sorted((folder / "plots").iterdir()):
        run_logger.log_artifact(path, "evaluation")
    run_logger.set_tags(**{LOGGED_TAG.format("evaluate"): "true"})


def _pretrained_tags(metadata: dict[str, Any]) -> dict[str, str]:
    """Return a tag that says which version a model started from; none if it started from random weights."""
    return {"start": "{model} version {version}".format(**metadata["start"])} if "start" in metadata else {}


def _reference_tags(metadata: dict[str, Any]) -> dict[str, str]:
    """Return a tag that says which classifier judged what a model makes, by its weights; none if there was none."""
    return {"judge": "{model} (weights {digest:.12})".format(**metadata["judge"])} if "judge" in metadata else {}


def _describe_run(metadata: dict[str, Any], scores: dict[str, dict[str, float]], findings: list[dict[str, str]]) -> str:
    """Return the run's description in MLflow's UI: what it is, training problems, how well it does, in Markdown."""
    network = metadata["params"]["network"]["family"]
    head = f"`{network}` with {metadata['n_parameters']:,} parameters on `{metadata['params']['dataset']}`"
    if "judge" in metadata:
        head += ", as `{model}` (weights {digest:.12}) sees what it makes".format(**metadata["judge"])
    rows = [
        f"| {metric} | " + " | ".join(f"{scores[s][metric]:.4g}" for s in scores) + " |" for metric in scores["test"]
    ]
    said = [f"**{finding['level']}**: {finding['message']}\n" for finding in findings]
    return "\n".join([head, "", *said, "| | " + " | ".join(scores) + " |", "|---" * (len(scores) + 1) + "|", *rows])


def log_export(run_logger: RunLogger, model_name: str) -> None:
    """Tell what export wrote: a version to register, with its weights and the scores of the test rows."""
    folder = paths.model_dir(model_name)
    path = folder / "model.onnx"
    facts = json.loads((folder / "model.json").read_text())
    listed = Manifest.model_validate_json((folder / MANIFEST).read_bytes()).files
    scores = json.loads((paths.report_dir(model_name) / "metrics.json").read_text())["test"]
    takes = Signature.from_dict(facts["signature"])
    x = load_dataset(paths.prepared_dir(facts["params"]["dataset"])).test.x
    run_logger.log_model_version(
        path,
        [folder / file for file in (*listed, MANIFEST)],
        sha256=sha256(path),
        training_digest=manifest_sha256(folder),
        model=f"fivefold-{model_name}",
        **takes._asdict(),
        input_example=json.dumps(build_input_example(takes, x, EXAMPLE_ROWS).tolist()),
        pip_requirements=tuple(f"{package}=={version(package)}" for package in RUNTIME_PACKAGES),
        tags={
            "fivefold.fingerprint": facts["fingerprint"],
            **_pretrained_tags(facts),
            **_reference_tags(facts),
            **({"fivefold.into": takes.target_class} if takes.target_class else {}),
            **{sanitize_name(f"test.{metric}"): f"{value:.4f}" for metric, value in scores.items()},
        },
    )
    run_logger.set_tags(**{LOGGED_TAG.format("export"): "true"})
