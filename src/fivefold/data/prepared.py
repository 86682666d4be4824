"""From a dataset block to checked, divided rows."""

from pathlib import Path

from ..config.datasets import Dataset as DatasetParams
from ..errors import DataError
from .checks import check
from .encoding import doubts
from .findings import Finding, graded
from .read import read
from .records import Dataset
from .splitting import shares, split
from .target import suffice_values


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
