"""Records that a model makes of noise, as a file that others read.

Shapes: n rows, c channels, h x w pixels, t steps, f features.
"""

from pathlib import Path

import numpy as np

from ..config.networks.autoencoder import Autoencoder
from ..data.dataset import Array
from ..data.decoding import written
from ..errors import InputError
from ..evaluation.generation.samples import conditional, make, noise_of
from ..models.serialization import Saved, interface_of

SUFFIXES = {
    "table": (".parquet", ".csv"),
    "images": (".npz", ".png"),
    "sequences": (".npz",),
    "series": (".npz",),
}
"""Of the files that may be written, by the kind of records; the first is usual."""


def makes_records(saved: Saved) -> bool:
    """Return whether a model makes records of noise."""
    return interface_of(saved.network, saved.schema).input == "z"


def need_maker(saved: Saved) -> None:
    """Raise an `InputError` if a model makes no records."""
    if not makes_records(saved):
        raise InputError(
            f"records are made by a gan, or by an autoencoder of purpose generation, but {saved.facts['name']} is"
            f" neither, being of family {saved.network.family}{_purpose(saved)}; name another model"
        )


def _purpose(saved: Saved) -> str:
    network = saved.network
    return f" and purpose {network.purpose.name}" if isinstance(network, Autoencoder) else ""


def write(saved: Saved, n: int, out: Path | None, *, asked: str = "", seed: int = 0) -> Path:
    """Write n made records to a file and return its path.

    out: a .parquet or .csv of rows in words; of images a .npz, x (n, c, h, w) uint8 and y if classes are asked for, or
        a .png that shows them; of sequences and windows of a series a .npz, x (n, t, f) float64; None: the model's
        name with the usual ending.
    asked: the class of all records; empty: each class in turn, of a model that can be asked.

    Raises:
        InputError: a number is out of its range, the ending is another, or there is no such class to be asked for.
    """
    name, schema = saved.facts["name"], saved.schema
    for key, value, least in (("rows", n, 1), ("seed", seed, 0)):
        if not least <= value < 2**32:
            raise InputError(f"{key} must be {least} or more, and below 2^32, but is {value}; change it")
    usual = SUFFIXES[schema.kind]
    path = out or Path(f"{name}{usual[0]}")
    if path.suffix not in usual:
        raise InputError(f"--out must end in {' or '.join(usual)} for {schema.kind}, but is {str(path)!r}; change it")
    classes = _asked(saved, n, asked)
    records = make(saved, noise_of(saved, n, seed, classes))
    path.parent.mkdir(parents=True, exist_ok=True)
    match path.suffix:
        case ".parquet":
            written(records, classes, schema).to_parquet(path, index=False)
        case ".csv":
            written(records, classes, schema).to_csv(path, index=False)
        case ".npz":
            x = records.round().astype(np.uint8) if schema.kind == "images" else records
            np.savez_compressed(path, allow_pickle=False, **{"x": x} | ({"y": classes} if len(classes) else {}))
        case _:
            _draw(name, records, path)
    return path


def _asked(saved: Saved, n: int, asked: str) -> Array:
    """Return the index of the class that each record is to have, (n,), or (0,) of a model that cannot be asked."""
    name, known = saved.facts["name"], saved.schema.classes
    if not conditional(saved):
        if asked:
            raise InputError(f"{name} cannot be asked for a class such as {asked!r}; set network.condition, and train")
        return np.arange(0)
    if asked and asked not in known:
        raise InputError(f"--class must be one of {', '.join(known)}, but is {asked!r}; choose one")
    return np.full(n, known.index(asked)) if asked else np.arange(n) % len(known)


def _draw(name: str, records: Array, path: Path) -> None:
    from ..evaluation.image_plots import plot_image_grid
    from ..plotting import save

    save(plot_image_grid(f"{name}: records made of noise", records, (0.0, 255.0)), path)
