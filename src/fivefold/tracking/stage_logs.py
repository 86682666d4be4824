"""What is told of each stage, read from what the stage wrote: so it can be told again by `fivefold sync`."""

import csv
import json
from importlib.metadata import version
from typing import Any

from .. import paths
from ..data.storage import MANIFEST, Manifest, digest, load_dataset, sha256
from ..models.serialization import Interface, inputs_of
from ..training import image_grid
from ..training.diagnostics.summary import metrics_of
from .reporter import Report, key

RUNTIME = ("numpy", "onnx", "onnxruntime")
"""Packages that a registered graph needs to run."""

EXAMPLE_ROWS = 2

DONE = "told.{}"
"""Tag of a run that has all that a stage says of it: `fivefold sync` tells what lacks it."""


def inputs(report: Report, params: dict[str, Any]) -> None:
    """Tell with which parameters and on which rows a model is trained."""
    source = paths.prepared(params["dataset"])
    report.params(params | {"data": _prepared(json.loads((source / "dataset.json").read_text()))})
    report.dataset(params["dataset"], source, load_dataset(source), digest(source))
    report.artifact(source / "checks.json", "data")


def _prepared(block: dict[str, Any]) -> dict[str, Any]:
    """Return what a dataset's block says, without what is empty; of `columns`, which may be many, one value."""
    said = {name: value for name, value in block.items() if value not in ("", None, [], {})}
    return {name: json.dumps(value) if name in ("columns", "also") else value for name, value in said.items()}


def training(report: Report, name: str) -> None:
    """Tell what train wrote."""
    facts = json.loads((paths.model(name) / "model.json").read_text())
    report.tags(parameters=str(facts["parameters"]), kept_epoch=str(facts["kept_epoch"]), device=facts["device"])
    report.tags(**_start(facts))
    for pattern in ("selection.*", "map.png"):
        for path in sorted(paths.selected(name).glob(pattern)):
            report.artifact(path, "selection")
    for file in ("model.json", "history.csv", "doctor.json"):
        report.artifact(paths.model(name) / file, "training")
    findings = json.loads((paths.model(name) / "doctor.json").read_text())["findings"]
    for finding in findings:
        report.alarm(finding["rule"], finding["text"])
    report.tags(doctor=", ".join(finding["rule"] for finding in findings) or "found nothing wrong")
    report.tags(**{DONE.format("train"): "true"})


def history(report: Report, name: str) -> None:
    """Tell each epoch's metrics again."""
    with (paths.model(name) / "history.csv").open() as file:
        rows = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
    measured = json.loads((paths.model(name) / "doctor.json").read_text())["measured"]
    tell = report.history(len(rows))
    for row in rows:
        epoch = int(row.pop("epoch")) - 1
        tell(epoch, row | metrics_of(measured, epoch), row is rows[-1])


def sheets(report: Report, name: str) -> None:
    """Tell again what a model that makes images made, epoch by epoch."""
    tell = report.sheets()
    for epoch, grid in image_grid.read(paths.model(name) / image_grid.FILE).items():
        tell(epoch, grid)


def evaluation(report: Report, name: str) -> None:
    """Tell what evaluate wrote; scores stand one step behind the last epoch, where the kept weights were scored."""
    folder = paths.report(name)
    facts = json.loads((paths.model(name) / "model.json").read_text())
    scores = json.loads((folder / "metrics.json").read_text())
    flat = {f"{split}/{metric}": value for split, values in scores.items() for metric, value in values.items()}
    report.metrics(facts["epochs"] + 1, flat)
    findings = json.loads((paths.model(name) / "doctor.json").read_text())["findings"]
    report.tags(**{"mlflow.note.content": _note(facts, scores, findings)}, **_judge(facts))
    for path in (folder / "metrics.json", folder / "predictions.parquet"):
        report.artifact(path, "evaluation")
    for path in sorted((folder / "plots").iterdir()):
        report.artifact(path, "evaluation")
    report.tags(**{DONE.format("evaluate"): "true"})


def _start(facts: dict[str, Any]) -> dict[str, str]:
    """Return a tag that says which version a model started from; none if it started from random weights."""
    return {"start": "{model} version {version}".format(**facts["start"])} if "start" in facts else {}


def _judge(facts: dict[str, Any]) -> dict[str, str]:
    """Return a tag that says which classifier judged what a model makes, by its weights; none if there was none."""
    return {"judge": "{model} (weights {digest:.12})".format(**facts["judge"])} if "judge" in facts else {}


def _note(facts: dict[str, Any], scores: dict[str, dict[str, float]], findings: list[dict[str, str]]) -> str:
    """Return the run's description in MLflow's UI: what it is, what the doctor says, how well it does, in Markdown."""
    network = facts["params"]["network"]["family"]
    head = f"`{network}` with {facts['parameters']:,} parameters on `{facts['params']['dataset']}`"
    if "judge" in facts:
        head += ", as `{model}` (weights {digest:.12}) sees what it makes".format(**facts["judge"])
    rows = [
        f"| {metric} | " + " | ".join(f"{scores[s][metric]:.4g}" for s in scores) + " |" for metric in scores["test"]
    ]
    said = [f"**doctor, {finding['level']}**: {finding['text']}\n" for finding in findings]
    return "\n".join([head, "", *said, "| | " + " | ".join(scores) + " |", "|---" * (len(scores) + 1) + "|", *rows])


def exported(report: Report, name: str) -> None:
    """Tell what export wrote: a version to register, with its weights and the scores of the test rows."""
    folder = paths.model(name)
    path = folder / "model.onnx"
    facts = json.loads((folder / "model.json").read_text())
    listed = Manifest.model_validate_json((folder / MANIFEST).read_bytes()).files
    scores = json.loads((paths.report(name) / "metrics.json").read_text())["test"]
    takes = Interface.of(facts["interface"])
    x = load_dataset(paths.prepared(facts["params"]["dataset"])).test.x
    report.version(
        path,
        [folder / file for file in (*listed, MANIFEST)],
        sha256=sha256(path),
        trained=digest(folder),
        model=f"fivefold-{name}",
        **takes._asdict(),
        example=json.dumps(inputs_of(takes, x, EXAMPLE_ROWS).tolist()),
        requirements=tuple(f"{package}=={version(package)}" for package in RUNTIME),
        tags={
            "fivefold.fingerprint": facts["fingerprint"],
            **_start(facts),
            **_judge(facts),
            **({"fivefold.into": takes.into} if takes.into else {}),
            **{key(f"test.{metric}"): f"{value:.4f}" for metric, value in scores.items()},
        },
    )
    report.tags(**{DONE.format("export"): "true"})
