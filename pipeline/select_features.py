"""Prepared dataset -> data/selected/<model>/: the fitted chain of preprocessing for one model."""

from fivefold import paths
from fivefold.config.loading import load_params
from fivefold.config.selection import EncoderSelection
from fivefold.data.storage import load_dataset
from fivefold.preprocessing.pipeline import Pipeline
from fivefold.preprocessing.plots import plot_projection, plot_selection
from fivefold.preprocessing.selection import fit_selection, load_encoder
from fivefold.stages.outputs import atomic_output
from fivefold.stages.run import run


def main(name: str) -> None:
    """Fit the preprocessing of model `name` of params.yaml."""
    params = load_params()
    model = params.model(name)
    source = paths.prepared_dir(model.dataset)
    dataset = load_dataset(source)
    scaling = Pipeline.load(source / "scaling.safetensors")
    x, y = scaling(dataset.train.x), dataset.train.y
    encoder = load_encoder(paths.model_dir(model.depends_on)) if isinstance(model.select, EncoderSelection) else ()
    selected = fit_selection(x, y, dataset.schema, model.select, params.seed, scaling.feature_names, encoder)
    with atomic_output(paths.selected_dir(name)) as folder:
        scaling.with_steps(*selected.steps, feature_names=selected.feature_names or None).save(
            folder / "preprocess.safetensors"
        )
        selected.table.to_csv(folder / "selection.csv", index=False)
        plot_selection(selected, dataset.schema, name, folder / "selection.png")
        plot_projection(selected, x, y, dataset.schema, name, params.seed, folder / "projection.png")
    print(f"{name}: {model.select.method}, {selected.summary}{selected.hint}")


if __name__ == "__main__":
    run("select_features", main)
