"""From a dataset block to checked, divided rows."""

from ..params.datasets import Dataset as DatasetParams
from .checks import check
from .findings import Finding, graded
from .read import read
from .records import Dataset
from .splitting import split
from .target import suffice_values


def prepare(params: DatasetParams, seed: int) -> tuple[Dataset, list[Finding]]:
    """Read, divide and check a dataset; findings come worst first.

    Raises:
        DataError: the source breaks a rule, its rows do not suffice, or a check finds an error.
    """
    raw = read(params)
    graded(raw.findings, params.checks)  # what reading found stops before anything is made of it
    dataset = raw.encode(split(raw.keys, params.split, seed))
    graded(dataset.findings, params.checks)
    if dataset.schema.values:
        suffice_values(dataset.schema, dataset.train.y)
    return dataset, graded([*raw.findings, *dataset.findings, *check(dataset, params.checks)], params.checks)
