"""Metrics -> models/<model>/: one ONNX graph including the preprocessing, verified and registered."""

import json

from fivefold import paths
from fivefold.data.storage import load_dataset
from fivefold.export import check_parity, export_onnx
from fivefold.models.precision import set_num_threads
from fivefold.models.serialization import build_input_example, infer_signature, load_model
from fivefold.stages.outputs import atomic_output
from fivefold.stages.run import run
from fivefold.tracking import stage_logs
from fivefold.tracking.reporter import open_run_logger


def main(name: str) -> None:
    """Export model `name` and register it with the metrics of the evaluate stage."""
    trained_model = load_model(paths.model_dir(name))
    set_num_threads(trained_model.metadata["params"]["training"]["num_threads"])
    test = load_dataset(paths.prepared_dir(trained_model.metadata["params"]["dataset"])).test
    with open_run_logger("export", name, trained_model.metadata["fingerprint"], wait=True) as run_logger:
        with atomic_output(paths.model_dir(name), "export.json") as folder:
            path = folder / "model.onnx"
            signature = infer_signature(trained_model.network_config, trained_model.schema)
            export_onnx(trained_model, build_input_example(signature, test.x, 2), path)
            parity = check_parity(trained_model, test.x, path)
            (folder / "parity.json").write_text(json.dumps(parity, indent=2) + "\n")
        stage_logs.log_export(run_logger, name)
    path = paths.model_dir(name) / "model.onnx"
    size, worst = path.stat().st_size / 1024, max(parity.values())
    print(f"{name}: {path} {size:.0f} KiB, maximum difference from PyTorch {worst:.1e}")


if __name__ == "__main__":
    run("export", main)
