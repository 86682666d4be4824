"""From the name of a model to the learning rate that suits it."""

import warnings
from collections.abc import Iterator

from .. import paths
from ..config.loading import load_params, read_tree
from ..data.storage import load_dataset
from ..errors import ArtifactError, ParamsError, TrainingError
from ..preprocessing.pipeline import Chain
from ..tracking.pulled import pulled
from .show import draw, lines
from .suggestion import suggestion
from .sweep import sweep


def find(name: str) -> Iterator[str]:
    """Sweep over the rates of model `name`; yield where the picture lies, and what is suggested.

    Raises:
        ArtifactError: the stages before training have not run.
        TrainingError: the loss does not fall at any rate.
        ParamsError: there is no such model, or it learns from another network and not down a loss.
    """
    params = load_params()
    model = params.model(name)
    if model.network.family in ("gan", "cyclegan"):
        raise ParamsError(
            f"fivefold lr follows one loss, but models.{name} is a {model.network.family}, whose players have one each;"
            " try rates from 0.0001 to 0.001"
        )
    source, chain = paths.prepared(model.dataset), paths.selected(name) / "preprocess.safetensors"
    if not chain.exists() or not source.exists():
        raise ArtifactError(
            f"{chain.parent} and {source} must be there to train on, but are not; run"
            f" `dvc repro select_features@{name}`"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")  # hints about parts that are switched off
        start = pulled(name, model.training.start)
        seen = sweep(name, model, load_dataset(source), Chain.load(chain), params.seed, start)
    picture = paths.rates(name)
    try:
        rate = suggestion(name, seen)
    except TrainingError:
        draw(name, seen, None, picture)
        yield f"picture: {picture}"
        raise
    draw(name, seen, rate, picture)
    yield f"picture: {picture}"
    yield from lines(name, read_tree(), model.training.optimizer, rate)
