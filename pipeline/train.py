"""Selected features -> models/<model>/: weights, what rebuilds the network, history, what the doctor says."""

from functools import partial
from typing import Any

from fivefold import paths
from fivefold.config.loading import load_params
from fivefold.data.storage import load_dataset, manifest_sha256, verify_manifest
from fivefold.models.feature_extractor import load_reference
from fivefold.preprocessing.pipeline import Pipeline
from fivefold.stages.outputs import atomic_output
from fivefold.stages.run import abort, run
from fivefold.tracking import stage_logs
from fivefold.tracking.pretrained import load_registered
from fivefold.tracking.reporter import open_run_logger
from fivefold.training.checkpoints import compute_fingerprint, remove_checkpoints
from fivefold.training.distributed import launch_workers
from fivefold.training.fit import FitResult, fit
from fivefold.training.supervised import adapt_dataset, import_family


def build_training(name: str) -> tuple[partial[FitResult], dict[str, Any]]:
    """Return the training of model `name`, which lacks who is told of epochs, and what is known of it before."""
    params = load_params()
    model = params.model(name)
    source, selected = paths.prepared_dir(model.dataset), paths.selected_dir(name)
    verify_manifest(selected)
    prepared = load_dataset(source), Pipeline.load(selected / "preprocess.safetensors")
    rows = adapt_dataset(model, params.dataset(model.dataset), *prepared)
    tree = {"seed": params.seed, **model.model_dump(mode="json")}
    import_family(model.network.family)
    start, judge = load_registered(name, model.training.pretrained), load_reference(model)
    origin = {role: other.metadata for role, other in (("start", start), ("judge", judge)) if other}
    identity = compute_fingerprint(
        "train", tree | origin, {str(folder): manifest_sha256(folder) for folder in (source, selected)}
    )
    checkpoints = paths.checkpoints_dir(name, identity)
    train = partial(fit, name, model, *rows, start, judge, seed=params.seed, checkpoint_folder=checkpoints)
    return train, {**origin, "name": name, "fingerprint": identity, "params": tree}


def main(name: str) -> None:
    """Train model `name` of params.yaml on its selected features."""
    train, known = build_training(name)
    with open_run_logger("train", name, known["fingerprint"]) as report, report.track_status():
        stage_logs.log_inputs(report, known["params"])
        with launch_workers(known["params"]["training"]["devices"], partial(abort, "train")):
            history = report.epoch_logger(known["params"]["training"]["max_epochs"])
            fitted = train(on_epoch=history, on_sheet=report.sample_logger(), on_alarm=report.log_diagnosis)
        with atomic_output(paths.model_dir(name)) as folder:
            fitted.save(folder, known)
        report.log_metrics(len(fitted.history), {"train/seconds": fitted.seconds})
        report.set_tags(resumed=str(fitted.is_resumed).lower())
        stage_logs.log_training(report, name)
    remove_checkpoints(train.keywords["checkpoints"])
    print(*(f"{name}: {line}" for line in fitted.summary_lines()), sep="\n")


if __name__ == "__main__":
    run(
        "train", main, worker_main=lambda name: build_training(name)[0](on_epoch=lambda *_: None)
    )  # a follower only takes part in fit
