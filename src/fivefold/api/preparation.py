"""Read, check and split a dataset."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from ..autoconfig.detect import detect_dataset
from ..config.datasets import DatasetConfig
from ..data.dataset import Array, Dataset
from ..data.prepare import prepare as prepare_dataset
from ..data.schema import CheckResult
from ..errors import DataError, ParamsError

Block = Mapping[str, Any]


DATASET_ADAPTER: TypeAdapter[DatasetConfig] = TypeAdapter(DatasetConfig)


@dataclass(frozen=True)
class PreparedDataset(Dataset):
    """A dataset that was read, checked and split.

    Attributes:
        schema: names, shape and classes.
        train, validation, test: splits with `x` (n, *shape) in raw units and `y` (n,).
        config: the dataset block.
        check_results: what the data checks found, the most serious first.
    """

    config: DatasetConfig
    check_results: tuple[CheckResult, ...]


def prepare(
    source: str | Path | pd.DataFrame | tuple[Array, Array] | Block | DatasetConfig,
    target: str = "",
    *,
    kind: str = "",
    task: str = "",
    seed: int = 0,
    **options: Any,
) -> PreparedDataset:
    """Read, check and split a dataset.

    Args:
        source: a file or folder, a DataFrame, a pair of arrays x (n, ...) and y (n,), or a dataset block. The block of
            anything but a block is inferred, as `fivefold add` does it.
        target: the column to predict, of a table; may be omitted where it can be inferred.
        kind: table, images, sequences, series or text; inferred by default.
        task: classification, regression, forecasting or unsupervised; inferred by default.
        seed: of the split.
        options: further keys of the dataset block, which override inferred ones, for example
            `split={"by": "random", "validation": 0.2, "test": 0.2}` or `drop=["id"]`.

    Raises:
        DataError: the source cannot be read or breaks a rule, or a check finds an error.
        ParamsError: an option is not a valid key of a dataset block.
    """
    if isinstance(source, Mapping):
        return _prepare_block(dict(source) | options, seed)
    if isinstance(source, pd.DataFrame | tuple):
        with _saved_source(source) as path:
            return _prepare_inferred(path, target, kind, task, seed, options)
    if isinstance(source, str | Path):
        return _prepare_inferred(Path(source), target, kind, task, seed, options)
    return _prepare_block(source.model_dump(mode="json", exclude_unset=True) | options, seed)


@contextmanager
def _saved_source(source: pd.DataFrame | tuple[Array, Array]) -> Iterator[Path]:
    """Yield a temporary file that the readers accept; errors name the object instead of the file."""
    with TemporaryDirectory() as folder:
        if isinstance(source, pd.DataFrame):
            path, name = Path(folder) / "frame.parquet", "DataFrame"
            source.to_parquet(path, index=False)
        else:
            path, name = Path(folder) / "arrays.npz", "arrays"
            x, y = map(np.asarray, source)
            if x.ndim == 2:
                path = path.with_suffix(".parquet")
                frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])])
                frame.assign(target=y).to_parquet(path, index=False)
            else:
                np.savez(path, allow_pickle=False, x=x, y=y)
        try:
            yield path
        except DataError as error:
            raise DataError(str(error).replace(str(path), name)) from None


def _prepare_inferred(path: Path, target: str, kind: str, task: str, seed: int, options: Block) -> PreparedDataset:
    if not path.exists():
        raise DataError(f"a source must be a file or folder, but {path} does not exist; correct the path")
    if path.name == "arrays.parquet" and not target:
        target = "target"
    found = detect_dataset(path, target, kind, task=task)
    return _prepare_block({"source": str(path), **found.block, **options}, seed)


def _prepare_block(block: Block, seed: int) -> PreparedDataset:
    try:
        config = DATASET_ADAPTER.validate_python(dict(block), strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ParamsError(f"dataset: {where}: {first['msg']}; correct the option") from None
    dataset, results = prepare_dataset(config, seed)
    return PreparedDataset(**vars(dataset), config=config, check_results=tuple(results))
