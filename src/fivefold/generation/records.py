"""Records that a model makes of noise, as a file that others read.

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
"""Of the files that may be written, by the kind of records; the first is usual."""


def is_record_generator(trained_model: TrainedModel) -> bool:
    """Return whether a model makes records of noise."""
    return infer_signature(trained_model.network_config, trained_model.schema).input_name == "z"


def require_record_generator(trained_model: TrainedModel) -> None:
    """Raise an `InputError` if a model makes no records."""
    if not is_record_generator(trained_model):
        raise InputError(
            f"records are made by a gan, or by an autoencoder of purpose generation, but {trained_model.metadata['name']} is"
            f" neither, being of family {trained_model.network_config.family}{_describe_mode(trained_model)}; name another model"
        )


def _describe_mode(trained_model: TrainedModel) -> str:
    network = trained_model.network_config
    return f" and purpose {network.mode.name}" if isinstance(network, Autoencoder) else ""


def write_records(
    trained_model: TrainedModel, n: int, out: Path | None, *, class_name: str = "", seed: int = 0
) -> Path:
    """Write n made records to a file and return its path.

    out: a .parquet or .csv of rows in words; of images a .npz, x (n, c, h, w) uint8 and y if classes are asked for, or
        a .png that shows them; of sequences and windows of a series a .npz, x (n, t, f) float64; None: the model's
        name with the usual ending.
    asked: the class of all records; empty: each class in turn, of a model that can be asked.

    Raises:
        InputError: a number is out of its range, the ending is another, or there is no such class to be asked for.
    """
    name, schema = trained_model.metadata["name"], trained_model.schema
    for key, value, least in (("rows", n, 1), ("seed", seed, 0)):
        if not least <= value < 2**32:
            raise InputError(f"{key} must be {least} or more, and below 2^32, but is {value}; change it")
    usual = OUTPUT_SUFFIXES[schema.kind]
    path = out or Path(f"{name}{usual[0]}")
    if path.suffix not in usual:
        raise InputError(f"--out must end in {' or '.join(usual)} for {schema.kind}, but is {str(path)!r}; change it")
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
    """Return the index of the class that each record is to have, (n,), or (0,) of a model that cannot be asked."""
    name, known = trained_model.metadata["name"], trained_model.schema.classes
    if not is_conditional(trained_model):
        if class_name:
            raise InputError(
                f"{name} cannot be asked for a class such as {class_name!r}; set network.conditioning, and train"
            )
        return np.arange(0)
    if class_name and class_name not in known:
        raise InputError(f"--class must be one of {', '.join(known)}, but is {class_name!r}; choose one")
    return np.full(n, known.index(class_name)) if class_name else np.arange(n) % len(known)


def _save_image_grid(name: str, records: Array, path: Path) -> None:
    from ..evaluation.image_plots import plot_image_grid
    from ..plotting import save_figure

    save_figure(plot_image_grid(f"{name}: records made of noise", records, (0.0, 255.0)), path)
