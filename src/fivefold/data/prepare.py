"""From a dataset block to checked, divided rows.

Read a raw source, whatever its kind.
"""

from pathlib import Path

from ..config.datasets import DatasetConfig as DatasetParams
from ..config.datasets import Images, Sequences, Series, Table
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


def read_raw_dataset(params: DatasetParams) -> RawDataset:
    """Read the source of a dataset block.

    Raises:
        DataError: the source is missing or breaks a rule of its kind.
    """
    source = resolve_source(params)
    try:
        return _read_kind(source, params)
    except OSError as error:  # a folder or file within that may not be looked at, or that vanishes
        raise DataError(
            f"{source} must be a file or folder that can be read, but is not: {one_line_message(error)}; mend that"
        ) from None


def _read_kind(source: Path, params: DatasetParams) -> RawDataset:
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


def prepare(params: DatasetParams, seed: int) -> tuple[Dataset, list[CheckResult]]:
    """Read, divide and check a dataset; findings come worst first.

    Raises:
        DataError: the source breaks a rule, its rows do not suffice, or a check finds an error.
    """
    try:
        return _prepare(params, seed)
    except DataError as error:
        raise error.with_source(params.source) from None


def _prepare(params: DatasetParams, seed: int) -> tuple[Dataset, list[CheckResult]]:
    raw = read_raw_dataset(params)
    found = [*check_encoding(Path(params.source), params.format), *raw.checks]
    apply_levels(found, params.checks)  # what reading found stops before anything is made of it
    parts = split_rows(raw.keys, params.split, seed)
    found += check_split_sizes(raw.keys, params.split, parts)
    dataset = raw.encode(parts, free_source=True)
    del raw  # a table is as large as what was made of it
    apply_levels(dataset.checks, params.checks)
    if dataset.schema.values:
        require_varying_targets(dataset.schema, dataset.train.y)
    return dataset, apply_levels([*found, *dataset.checks, *run_checks(dataset, params.checks)], params.checks)
