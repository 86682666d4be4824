"""The rows that a network learns, and their preprocessing."""

from ..data.records import Dataset
from ..data.whole import whole
from ..families.gan.params import Gan
from ..params.datasets import Dataset as DatasetParams
from ..params.models import Model
from ..preprocessing.chain import Chain


def rows_of(params: Model, block: DatasetParams, dataset: Dataset, chain: Chain) -> tuple[Dataset, Chain]:
    """Return rows as the network sees them: what makes a table's rows makes targets too, as columns like the others.

    block: of the dataset; chain: fitted to its features.
    """
    if not isinstance(params.network, Gan) or block.kind != "table":
        return dataset, chain
    from ..preprocessing.scaling import fit_scaling  # scikit-learn is paid for by tables that are made alone

    rows = whole(dataset, asked=params.network.conditional)
    return rows, fit_scaling(rows.train.x, rows.schema, block)
