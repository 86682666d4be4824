"""Write generated samples to a file.

Shapes: n rows, c channels, h x w pixels, t steps, f features.
"""

from pathlib import Path

import numpy as np

from ..config.networks.autoencoder import Autoencoder
from ..data.dataset import Array
from ..data.decoding import to_frame
from ..errors import InputError
from ..evaluation.generation.samples import generate, is_conditional, sample_noise
from ..models.serialization import TrainedModel, infer_signature

OUTPUT_SUFFIXES = {
    "table": (".parquet", ".csv"),
    "images": (".npz", ".png"),
    "sequences": (".npz",),
    "series": (".npz",),
}
"""File suffixes by kind of data; the first one is the default."""


def is_record_generator(trained_model: TrainedModel) -> bool:
    """Return whether a model generates samples from noise."""
    return infer_signature(trained_model.network_config, trained_model.schema).input_name == "z"


def require_record_generator(trained_model: TrainedModel) -> None:
    """Raise an `InputError` if a model does not generate samples from noise."""
    if not is_record_generator(trained_model):
        network = trained_model.network_config
        mode = f" with mode {network.mode.name}" if isinstance(network, Autoencoder) else ""
        raise InputError(
            "the model must be a gan or an autoencoder with mode generation, but"
            f" {trained_model.metadata['name']} is of family {network.family}{mode}; choose another model"
        )


def write_records(
    trained_model: TrainedModel, n: int, out: Path | None, *, class_name: str = "", seed: int = 0
) -> Path:
    """Write n generated samples to a file and return its path.

    Args:
        trained_model: a gan or an autoencoder with mode generation.
        n: number of samples.
        out: for tables a .parquet or .csv file with decoded categories; for images a .npz file with x (n, c, h, w)
            uint8 and y if the model is conditional, or a .png image grid; for sequences and windows of a series a .npz
            file with x (n, t, f) float64. None: the model's name with the default suffix.
        class_name: the class of all samples; empty: a conditional model cycles through its classes.
        seed: of the noise.

    Raises:
        InputError: a number is out of range, the suffix is not supported, or the class is unknown or cannot be chosen.
    """
    name, schema = trained_model.metadata["name"], trained_model.schema
    for key, value, minimum in (("rows", n, 1), ("seed", seed, 0)):
        if not minimum <= value < 2**32:
            raise InputError(f"{key} must be at least {minimum} and less than 2^32, but is {value}; change it")
    suffixes = OUTPUT_SUFFIXES[schema.kind]
    path = out or Path(f"{name}{suffixes[0]}")
    if path.suffix not in suffixes:
        raise InputError(
            f"--out must end in {' or '.join(suffixes)} for {schema.kind}, but is {str(path)!r}; change it"
        )
    classes = _class_indices(trained_model, n, class_name)
    records = generate(trained_model, sample_noise(trained_model, n, seed, classes))
    path.parent.mkdir(parents=True, exist_ok=True)
    match path.suffix:
        case ".parquet":
            to_frame(records, classes, schema).to_parquet(path, index=False)
        case ".csv":
            to_frame(records, classes, schema).to_csv(path, index=False)
        case ".npz":
            x = records.round().astype(np.uint8) if schema.kind == "images" else records
            np.savez_compressed(path, allow_pickle=False, **{"x": x} | ({"y": classes} if len(classes) else {}))
        case _:
            _save_image_grid(name, records, path)
    return path


def _class_indices(trained_model: TrainedModel, n: int, class_name: str) -> Array:
    """Return the class index of each sample, (n,); (0,) if the model is not conditional."""
    name, classes = trained_model.metadata["name"], trained_model.schema.classes
    if not is_conditional(trained_model):
        if class_name:
            raise InputError(
                f"--class needs a conditional model, but {name} is unconditional, so it cannot generate class"
                f" {class_name!r}; set network.conditioning and train the model again"
            )
        return np.arange(0)
    if class_name and class_name not in classes:
        raise InputError(f"--class must be one of {', '.join(classes)}, but is {class_name!r}; choose one")
    return np.full(n, classes.index(class_name)) if class_name else np.arange(n) % len(classes)


def _save_image_grid(name: str, records: Array, path: Path) -> None:
    from ..evaluation.image_plots import plot_image_grid
    from ..plotting import save_figure

    save_figure(plot_image_grid(f"{name}: generated samples", records, (0.0, 255.0)), path)
