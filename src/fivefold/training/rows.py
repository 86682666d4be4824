"""The rows that a network learns, and their preprocessing."""

from importlib import import_module

from ..config.datasets import Dataset as DatasetParams
from ..config.models import Model
from ..config.networks.gan import Gan
from ..data.dataset import Dataset
from ..preprocessing.pipeline import Chain


def rows_of(params: Model, block: DatasetParams, dataset: Dataset, chain: Chain) -> tuple[Dataset, Chain]:
    """Return rows as the network sees them: what makes a table's rows makes targets too, as columns like the others.

    block: of the dataset; chain: fitted to its features.
    """
    network = params.network
    if not isinstance(network, Gan) or block.kind != "table":
        return dataset, chain
    # scikit-learn is paid for by tables that are made alone
    rows: tuple[Dataset, Chain] = import_module(f"fivefold.models.{network.family}.tabular").whole_rows(
        network, block, dataset
    )
    return rows
