"""Score a model by what it is for."""

import pandas as pd

from ..data.records import Dataset
from ..families.autoencoder.params import Autoencoder
from ..families.cyclegan.params import Cyclegan
from ..families.expert import Expert
from ..families.gan.params import Gan
from ..families.saved import Saved
from ..training.doctor.course import Measured
from . import of_records, of_samples, of_targets, of_translations
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
            return of_samples.report(name, saved, dataset, history, measured, expert)
        case Cyclegan():
            return of_translations.report(name, saved, dataset, history, expert)
        case Autoencoder():
            return of_records.report(name, saved, dataset, history, measured, expert)
    return of_targets.report(name, saved, dataset, history, measured)
