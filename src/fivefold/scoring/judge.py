"""Score a model by what it is for."""

import pandas as pd

from ..data.records import Dataset
from ..families.autoencoder.params import Autoencoder
from ..families.saved import Saved
from ..training.doctor.course import Measured
from . import of_records, of_targets
from .report import Report


def judge(name: str, saved: Saved, dataset: Dataset, history: pd.DataFrame, measured: Measured) -> Report:
    """Return the report of model `name` on the rows it was trained, chosen and tested with.

    history: a row an epoch, as train wrote it. measured: what the doctor saw.
    """
    report = of_records.report if isinstance(saved.network, Autoencoder) else of_targets.report
    return report(name, saved, dataset, history, measured)
