"""Prepared dataset -> data/selected/<model>/: the fitted chain of preprocessing for one model."""

from fivefold import paths
from fivefold.config.loading import load_params
from fivefold.config.selection import Encoded
from fivefold.data.storage import load_dataset
from fivefold.preprocessing.pipeline import Chain
from fivefold.preprocessing.plots import plot_map, plot_selection
from fivefold.preprocessing.selection import encoder_of, fit_selection
from fivefold.stages.outputs import publishing
from fivefold.stages.run import run


def main(name: str) -> None:
    """Fit the preprocessing of model `name` of params.yaml."""
    params = load_params()
    model = params.model(name)
    source = paths.prepared(model.dataset)
    dataset = load_dataset(source)
    scaling = Chain.load(source / "scaling.safetensors")
    x, y = scaling(dataset.train.x), dataset.train.y
    encoder = encoder_of(paths.model(model.uses)) if isinstance(model.select, Encoded) else ()
    selected = fit_selection(x, y, dataset.schema, model.select, params.seed, scaling.names, encoder)
    with publishing(paths.selected(name)) as folder:
        scaling.then(*selected.steps, names=selected.names or None).save(folder / "preprocess.safetensors")
        selected.table.to_csv(folder / "selection.csv", index=False)
        plot_selection(selected, dataset.schema, name, folder / "selection.png")
        plot_map(selected, x, y, dataset.schema, name, params.seed, folder / "map.png")
    print(f"{name}: {model.select.method}, {selected.summary}{selected.hint}")


if __name__ == "__main__":
    run("select_features", main)
