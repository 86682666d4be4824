"""Metrics -> models/<model>/: one ONNX file with the preprocessing inside, proved and registered."""

import json

from fivefold import paths
from fivefold.data.storage import load_dataset
from fivefold.export import check_parity, export
from fivefold.models.precision import use_threads
from fivefold.models.serialization import inputs_of, interface_of, load_model
from fivefold.stages.outputs import publishing
from fivefold.stages.run import run
from fivefold.tracking import stage_logs
from fivefold.tracking.reporter import reporting


def main(name: str) -> None:
    """Export model `name`, and register it with the scores that evaluate gave it."""
    saved = load_model(paths.model(name))
    use_threads(saved.facts["params"]["training"]["threads"])
    test = load_dataset(paths.prepared(saved.facts["params"]["dataset"])).test
    with reporting("export", name, saved.facts["fingerprint"], wait=True) as report:
        with publishing(paths.model(name), "export.json") as folder:
            path = folder / "model.onnx"
            export(saved, inputs_of(interface_of(saved.network, saved.schema), test.x, 2), path)
            parity = check_parity(saved, test.x, path)
            (folder / "parity.json").write_text(json.dumps(parity, indent=2) + "\n")
        stage_logs.exported(report, name)
    path = paths.model(name) / "model.onnx"
    size, worst = path.stat().st_size / 1024, max(parity.values())
    print(f"{name}: {path} {size:.0f} KiB, differs from PyTorch by at most {worst:.1e}")


if __name__ == "__main__":
    run("export", main)
