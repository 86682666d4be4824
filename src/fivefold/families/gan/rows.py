"""The rows of a table that a generator learns: with their targets, as columns like the others."""

from ...config.datasets import Dataset as DatasetParams
from ...config.networks.gan import Gan
from ...data.dataset import Dataset
from ...data.decoding import whole
from ...preprocessing.pipeline import Chain
from ...preprocessing.scaling import fit_scaling


def whole_rows(params: Gan, block: DatasetParams, dataset: Dataset) -> tuple[Dataset, Chain]:
    """Return whole rows, but for a class that is asked for, and a preprocessing fitted to them as `block` says."""
    rows = whole(dataset, asked=params.conditional)
    return rows, fit_scaling(rows.train.x, rows.schema, block)
