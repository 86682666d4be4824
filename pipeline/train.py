"""Selected features -> models/<model>/: weights, metadata to rebuild the network, history, diagnostics."""

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
    """Return the training of model `name`, a partial of `fit` without callbacks, and the metadata known before it."""
    params = load_params()
    model = params.model(name)
    source, selected = paths.prepared_dir(model.dataset), paths.selected_dir(name)
    verify_manifest(selected)
    prepared = load_dataset(source), Pipeline.load(selected / "preprocess.safetensors")
    datasets = adapt_dataset(model, params.dataset(model.dataset), *prepared)
    tree = {"seed": params.seed, **model.model_dump(mode="json")}
    import_family(model.network.family)
    pretrained, reference = load_registered(name, model.training.pretrained), load_reference(model)
    roles = (("pretrained", pretrained), ("reference", reference))
    sources = {role: other.metadata for role, other in roles if other}
    digests = {str(folder): manifest_sha256(folder) for folder in (source, selected)}
    fingerprint = compute_fingerprint("train", tree | sources, digests)
    checkpoints = paths.checkpoints_dir(name, fingerprint)
    train = partial(fit, name, model, *datasets, pretrained, reference, seed=params.seed, checkpoint_folder=checkpoints)
    return train, {**sources, "name": name, "fingerprint": fingerprint, "params": tree}


def main(name: str) -> None:
    """Train model `name` of params.yaml on its selected features."""
    train, metadata = build_training(name)
    with open_run_logger("train", name, metadata["fingerprint"]) as run_logger, run_logger.track_status():
        stage_logs.log_inputs(run_logger, metadata["params"])
        with launch_workers(metadata["params"]["training"]["devices"], partial(abort, "train")):
            log_epoch = run_logger.epoch_logger(metadata["params"]["training"]["max_epochs"])
            fitted = train(on_epoch=log_epoch, on_samples=run_logger.sample_logger(), on_alarm=run_logger.log_diagnosis)
        with atomic_output(paths.model_dir(name)) as folder:
            fitted.save(folder, metadata)
        run_logger.log_metrics(len(fitted.history), {"train/seconds": fitted.seconds})
        run_logger.set_tags(resumed=str(fitted.is_resumed).lower())
        stage_logs.log_training(run_logger, name)
    remove_checkpoints(train.keywords["checkpoint_folder"])
    print(*(f"{name}: {line}" for line in fitted.summary_lines()), sep="\n")


if __name__ == "__main__":
    run("train", main, worker_main=lambda name: build_training(name)[0](on_epoch=lambda *_: None))
