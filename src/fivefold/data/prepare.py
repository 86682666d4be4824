"""From a dataset block to checked, divided rows.

Read a raw source, whatever its kind.
"""

from pathlib import Path

from ..config.datasets import Dataset as DatasetParams
from ..config.datasets import Images, Sequences, Series, Table
from ..errors import DataError, one_line
from .checks import check
from .dataset import Dataset, Raw
from .readers.encoding import doubts
from .readers.images import read_images
from .readers.sequences import read_sequences
from .readers.series import read_series
from .readers.table import read_table
from .readers.text import read_text
from .schema import Finding, graded
from .source import source_of
from .splitting import shares, split
from .targets import suffice_values


def read(params: DatasetParams) -> Raw:
    """Read the source of a dataset block.

    Raises:
        DataError: the source is missing or breaks a rule of its kind.
    """
    source = source_of(params)
    try:
        return _read(source, params)
    except OSError as error:  # a folder or file within that may not be looked at, or that vanishes
        raise DataError(
            f"{source} must be a file or folder that can be read, but is not: {one_line(error)}; mend that"
        ) from None


def _read(source: Path, params: DatasetParams) -> Raw:
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


def prepare(params: DatasetParams, seed: int) -> tuple[Dataset, list[Finding]]:
    """Read, divide and check a dataset; findings come worst first.

    Raises:
        DataError: the source breaks a rule, its rows do not suffice, or a check finds an error.
    """
    try:
        return _prepared(params, seed)
    except DataError as error:
        raise error.of(params.source) from None


def _prepared(params: DatasetParams, seed: int) -> tuple[Dataset, list[Finding]]:
    raw = read(params)
    found = [*doubts(Path(params.source), params.format), *raw.findings]
    graded(found, params.checks)  # what reading found stops before anything is made of it
    parts = split(raw.keys, params.split, seed)
    found += shares(raw.keys, params.split, parts)
    dataset = raw.encode(parts, last=True)
    del raw  # a table is as large as what was made of it
    graded(dataset.findings, params.checks)
    if dataset.schema.values:
        suffice_values(dataset.schema, dataset.train.y)
    return dataset, graded([*found, *dataset.findings, *check(dataset, params.checks)], params.checks)
