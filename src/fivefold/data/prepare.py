"""Read, split and check the dataset of a `datasets` block of params.yaml."""

from pathlib import Path

from ..config.datasets import DatasetConfig, Images, Sequences, Series, Table
from ..errors import DataError, one_line_message
from .checks import run_checks
from .dataset import Dataset, RawDataset
from .readers.encoding import check_encoding
from .readers.images import read_images
from .readers.sequences import read_sequences
from .readers.series import read_series
from .readers.table import read_table
from .readers.text import read_text
from .schema import CheckResult, apply_levels
from .source import resolve_source
from .splitting import check_split_sizes, split_rows
from .targets import require_varying_targets


def read_raw_dataset(params: DatasetConfig) -> RawDataset:
    """Return the source of a `datasets` block, read but not yet encoded.

    Raises:
        DataError: the source is missing, cannot be read, or breaks a rule of its kind.
    """
    source = resolve_source(params)
    try:
        return _read_kind(source, params)
    except OSError as error:  # a file or folder inside the source is not accessible, or disappears
        raise DataError(
            f"{source} must be a readable file or folder, but is not: {one_line_message(error)}; fix its access rights"
        ) from None


def _read_kind(source: Path, params: DatasetConfig) -> RawDataset:
    match params:
        case Table():
            return read_table(source, params)
        case Images():
            return read_images(source, params)
        case Sequences():
            return read_sequences(source, params)
        case Series():
            return read_series(source, params)
        case _:
            return read_text(source, params)


def prepare(params: DatasetConfig, seed: int) -> tuple[Dataset, list[CheckResult]]:
    """Return a dataset, read, split and checked, and the check results, most severe first.

    Raises:
        DataError: the source breaks a rule, has too few rows, or a check reports an error.
    """
    try:
        return _prepare(params, seed)
    except DataError as error:
        raise error.with_source(params.source) from None


def _prepare(params: DatasetConfig, seed: int) -> tuple[Dataset, list[CheckResult]]:
    raw = read_raw_dataset(params)
    results = [*check_encoding(Path(params.source), params.format), *raw.checks]
    apply_levels(results, params.checks)  # errors found while reading are raised before the rows are encoded
    indices = split_rows(raw.keys, params.split, seed)
    results += check_split_sizes(raw.keys, params.split, indices)
    dataset = raw.encode(indices, free_source=True)
    del raw  # a raw table is as large as its encoded rows
    apply_levels(dataset.checks, params.checks)
    if dataset.schema.values:
        require_varying_targets(dataset.schema, dataset.train.y)
    return dataset, apply_levels([*results, *dataset.checks, *run_checks(dataset, params.checks)], params.checks)
