"""Metrics -> models/<model>/: one ONNX file with the preprocessing inside, proved and registered."""

import json
from importlib.metadata import version

from fivefold import paths
from fivefold.data.storage import load_dataset, sha256
from fivefold.exporting.graph import export
from fivefold.exporting.parity import check_parity
from fivefold.families.saved import load_model
from fivefold.stages.publish import publishing
from fivefold.stages.run import run
from fivefold.tracking.report import reporting

RUNTIME = ("numpy", "onnx", "onnxruntime")


def main(name: str) -> None:
    """Export model `name`, and register it with the scores that evaluate gave it."""
    saved = load_model(paths.model(name))
    test = load_dataset(paths.prepared(saved.facts["dataset"])).test
    scores = json.loads((paths.report(name) / "metrics.json").read_text())["test"]
    with reporting("export", name, saved.facts["fingerprint"], wait=True) as report:
        with publishing(paths.model(name), "export.json") as folder:
            path = folder / "model.onnx"
            export(saved, test.x[:2], path)
            parity = check_parity(saved, test.x, path)
            (folder / "parity.json").write_text(json.dumps(parity, indent=2) + "\n")
        path = paths.model(name) / "model.onnx"
        report.version(
            path,
            sha256=sha256(path),
            model=f"fivefold-{name}",
            shape=saved.schema.shape,
            dtype=str(test.x.dtype),
            outputs=saved.schema.n_outputs,
            example=json.dumps(test.x[:2].tolist()),
            requirements=tuple(f"{package}=={version(package)}" for package in RUNTIME),
            tags={f"test.{metric}": f"{value:.4f}" for metric, value in scores.items()},
        )
    print(f"{name}: {path} {path.stat().st_size / 1024:.0f} KiB, differs from PyTorch by at most {max(parity.values()):.1e}")


if __name__ == "__main__":
    run("export", main)
