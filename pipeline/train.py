"""Selected features -> models/<model>/: weights, what rebuilds the network, history, what the doctor says."""

from functools import partial
from typing import Any

from fivefold import paths
from fivefold.config.loading import load_params
from fivefold.data.storage import digest, load_dataset, verify
from fivefold.models.feature_extractor import judge_of
from fivefold.preprocessing.pipeline import Chain
from fivefold.stages.outputs import publishing
from fivefold.stages.run import give_up, run
from fivefold.tracking import stage_logs
from fivefold.tracking.pretrained import pulled
from fivefold.tracking.reporter import reporting
from fivefold.training.checkpoints import fingerprint, prune
from fivefold.training.distributed import followers
from fivefold.training.fit import Fitted, fit
from fivefold.training.supervised import load_family, rows_of


def read(name: str) -> tuple[partial[Fitted], dict[str, Any]]:
    """Return the training of model `name`, which lacks who is told of epochs, and what is known of it before."""
    params = load_params()
    model = params.model(name)
    source, selected = paths.prepared(model.dataset), paths.selected(name)
    verify(selected)
    prepared = load_dataset(source), Chain.load(selected / "preprocess.safetensors")
    rows = rows_of(model, params.dataset(model.dataset), *prepared)
    tree = {"seed": params.seed, **model.model_dump(mode="json")}
    load_family(model.network.family)
    start, judge = pulled(name, model.training.start), judge_of(model)
    origin = {role: other.facts for role, other in (("start", start), ("judge", judge)) if other}
    identity = fingerprint("train", tree | origin, {str(folder): digest(folder) for folder in (source, selected)})
    checkpoints = paths.checkpoints(name, identity)
    train = partial(fit, name, model, *rows, start, judge, seed=params.seed, checkpoints=checkpoints)
    return train, {**origin, "name": name, "fingerprint": identity, "params": tree}


def main(name: str) -> None:
    """Train model `name` of params.yaml on its selected features."""
    train, known = read(name)
    with reporting("train", name, known["fingerprint"]) as report, report.running():
        stage_logs.inputs(report, known["params"])
        with followers(known["params"]["training"]["devices"], partial(give_up, "train")):
            history = report.history(known["params"]["training"]["max_epochs"])
            fitted = train(on_epoch=history, on_sheet=report.sheets(), on_alarm=report.alarm)
        with publishing(paths.model(name)) as folder:
            fitted.save(folder, known)
        report.metrics(len(fitted.history), {"train/seconds": fitted.seconds})
        report.tags(resumed=str(fitted.resumed).lower())
        stage_logs.training(report, name)
    prune(train.keywords["checkpoints"])
    print(*(f"{name}: {line}" for line in fitted.lines()), sep="\n")


if __name__ == "__main__":
    run("train", main, follow=lambda name: read(name)[0](on_epoch=lambda *_: None))  # a follower only takes part in fit
