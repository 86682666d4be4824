"""Selected features -> models/<model>/: weights, what rebuilds the network, history, what the doctor says."""

from dataclasses import replace

from fivefold import paths
from fivefold.data.storage import digest, load_dataset, verify
from fivefold.families.saved import save_model
from fivefold.params.load import load_params
from fivefold.preprocessing.chain import Chain
from fivefold.stages.publish import publishing
from fivefold.stages.run import run
from fivefold.tracking import told
from fivefold.tracking.report import reporting
from fivefold.training.checkpoints import prune
from fivefold.training.fingerprint import fingerprint
from fivefold.training.fit import fit


def main(name: str) -> None:
    """Train model `name` of params.yaml on its selected features."""
    params = load_params()
    model = params.model(name)
    source, selected = paths.prepared(model.dataset), paths.selected(name)
    verify(selected)
    dataset, chain = load_dataset(source), Chain.load(selected / "preprocess.safetensors")
    tree = {"seed": params.seed, **model.model_dump(mode="json")}
    identity = fingerprint("train", tree, {str(folder): digest(folder) for folder in (source, selected)})
    checkpoints = paths.work("train", name) / identity
    with reporting("train", name, identity) as report, report.running():
        told.inputs(report, tree)
        tell = report.history(model.training.max_epochs)
        fitted = fit(name, model, dataset, chain, seed=params.seed, checkpoints=checkpoints, on_epoch=tell)
        epochs = len(fitted.history)
        facts = {
            "name": name,
            "fingerprint": identity,
            "params": tree,
            "epochs": epochs,
            "kept_epoch": fitted.kept_epoch,
            "device": fitted.device,
        }
        with publishing(paths.model(name)) as folder:
            save_model(replace(fitted.saved, facts=facts), folder)
            fitted.history.to_csv(folder / "history.csv", index=False)
            (folder / "doctor.json").write_text(fitted.checkup.to_json())
        report.metrics(epochs, {"train/seconds": fitted.seconds})
        report.tags(resumed=str(fitted.resumed).lower())
        told.training(report, name)
    prune(checkpoints)
    loss = fitted.history["val/loss"][fitted.kept_epoch]
    print(f"{name}: epoch {fitted.kept_epoch + 1} of {epochs} is kept, val/loss {loss:.4g}")
    for line in fitted.checkup.lines():
        print(f"{name}: {line}")


if __name__ == "__main__":
    run("train", main)
