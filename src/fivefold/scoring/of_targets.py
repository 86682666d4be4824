"""The report of a model that tells targets."""

from functools import partial

import pandas as pd

from ..data.dataset import Dataset
from ..models.serialization import Saved
from ..training.diagnostics.summary import Measured
from .lines import lines
from .metrics import scores_of
from .pictures import PICTURES
from .predict import fewer, judged
from .report import Report
from .tables import gradients, predictions, tables


def report(name: str, saved: Saved, dataset: Dataset, history: pd.DataFrame, measured: Measured) -> Report:
    """Score model `name` on the rows it was trained, chosen and tested with."""
    schema, test = saved.schema, dataset.test
    p = judged(saved, test)
    scores = {"test": scores_of(schema, test, p)}
    for short, every in (("val", dataset.validation), ("train", dataset.train)):
        records = fewer(saved, every)
        scores[short] = scores_of(schema, records, judged(saved, records))
    shown = tables(schema, test, p, history) | {"gradients": gradients(measured)}
    pictures = {each: partial(PICTURES[each], table, name) for each, table in shown.items()}
    return Report(scores, predictions(schema, test, p), shown, pictures, [*lines(schema, scores["test"])])
