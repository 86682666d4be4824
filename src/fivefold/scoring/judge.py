"""Score a model by what it is for."""

import pandas as pd

from ..config.networks.autoencoder import Autoencoder
from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from ..data.dataset import Dataset
from ..models.feature_extractor import Expert
from ..models.serialization import Saved
from ..training.diagnostics.summary import Measured
from .of_records import report as evaluate_autoencoder
from .of_samples import report as evaluate_generator
from .of_targets import report as evaluate_supervised
from .of_translations import report as evaluate_translator
from .report import Report


def judge(
    name: str, saved: Saved, dataset: Dataset, history: pd.DataFrame, measured: Measured, expert: Expert | None = None
) -> Report:
    """Return the report of model `name` on the rows it was trained, chosen and tested with.

    history: a row an epoch, as train wrote it. measured: what the doctor saw.
    expert: the classifier by which records that are made are compared with rows.
    """
    match saved.network:
        case Gan():
            return evaluate_generator(name, saved, dataset, history, measured, expert)
        case Cyclegan():
            return evaluate_translator(name, saved, dataset, history, expert)
        case Autoencoder():
            return evaluate_autoencoder(name, saved, dataset, history, measured, expert)
    return evaluate_supervised(name, saved, dataset, history, measured)
