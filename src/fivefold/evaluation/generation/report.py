"""The report of a generator: how like real rows its records are, beside how like them other real rows are.

What a judge of our own sees compares neither with what other judges see, nor with numbers that others publish.
Shapes: n rows, k classes.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from ...data.dataset import SPLITS, Array, Dataset, Records
from ...data.decoding import fitting, written
from ...data.schema import Schema
from ...models.feature_extractor import Expert
from ...models.serialization import Saved
from ...training.diagnostics.summary import Measured
from ..report import Report
from ..tables import gradients
from . import plots as pictures
from .metrics import accuracy, entropy, explained, likeness, two_sample
from .samples import Viewer, Views, conditional, features_of, joined, made_of, make, noise_of, told
from .tabular import Rows, histograms, of_columns, of_copies

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = 10_000
"""Real rows of a set that are compared at most, and records that are made to compare with them."""

BESIDE = {"test": "validation", "validation": "test", "train": "validation"}
"""A set, and the real rows that are compared with it in place of records: the floor."""

SHORT = {"test": "test", "validation": "val", "train": "train"}

CERTAIN = 2
"""Standard errors by which a judge must be better than guessing."""

FLOOR = "{}_floor"
"""A score of real rows in place of records."""

UNITS = {
    "energy": "energy distance, in the mean distance of two real rows; 0 is best",
    "fid": "Frechet distance; lower is better",
    "kid": "kernel distance; lower is better",
    "precision": "share of records that are like real rows; higher is better",
    "recall": "share of real rows that are like records; higher is better",
    "density": "real rows that a record is like, in those that a real one is like; 1 is good",
    "coverage": "share of real rows with a record near them; higher is better",
    "two_sample": "share that a linear classifier tells from real rows; 0.5 is best",
    "two_sample_trees": "share that boosted trees tell from real rows; 0.5 is best",
    "entropy": "bits, of the classes that the judge sees",
    "agreement": "share in which the judge sees the class that was asked for; higher is better",
    "taught": "accuracy on real rows, of values R2, of what learnt from records alone; higher is better",
    "wasserstein": "mean distance of a number's distributions, in deviations; lower is better",
    "variation": "mean share of rows that another category would have to have; lower is better",
    "correlation": "mean difference of the correlation of two features; lower is better",
    "nearest": "median distance from the nearest training row; far below that of real rows it is learnt by heart",
    "copies": "share of records that equal a training row",
}


class Made(NamedTuple):
    """Records that were made: raw (n, ...), of images none; classes asked for, (n,) or (0,); what is seen in them.

    y: classes asked for, or a table's leading targets as they were made, (n,); empty if there are neither.
    """

    records: Array
    asked: Array
    seen: Views
    y: Array


class Compared(NamedTuple):
    """Real rows of each set, what is seen in them, and as many records with classes as often.

    features: of raw records, their targets hidden if asked to.
    """

    rows: dict[str, Records]
    seen: dict[str, Views]
    made: dict[str, Made]
    schema: Schema
    features: Callable[..., Array]


def evaluate_generator(
    name: str, saved: Saved, dataset: Dataset, history: pd.DataFrame, measured: Measured, judge: Expert | None
) -> Report:
    """Score model `name` on the rows it was trained, chosen and tested with, as `judge` sees them."""
    seed, dataset = int(saved.facts["params"]["seed"]), fitting(dataset, saved.schema)
    compared = compare(saved, dataset, judge, seed)
    scores = {SHORT[part]: scores_of(compared, part, seed) for part in ("test", "validation", "train")}
    tables = _tables(saved, history, measured, compared)
    if saved.schema.kind == "images" or judge:  # a training compares rows of a table by other features
        least = {FLOOR.format(each): scores["val"][FLOOR.format(each)] for each in ("energy", "kid")}
        tables["learning_curve"] = tables["learning_curve"].assign(**least)
    drawn: dict[str, Callable[[], Figure]] = {
        each: partial(pictures.PICTURES[each], table, name) for each, table in tables.items()
    }
    drawn |= pictures.of_records(name, saved, compared.made["test"].records, dataset.test.x, seed)
    return Report(scores, _predictions(saved, compared), tables, drawn, _lines(scores["test"], compared, judge))


def compare(saved: Saved, dataset: Dataset, judge: Expert | None, seed: int) -> Compared:
    """Make as many records as there are rows of each set, and return what `judge` sees in both.

    Images are made and looked at batch by batch, and not kept.
    """
    view, rows, made, schema = Viewer(saved, judge), {}, {}, saved.schema
    for i, part in enumerate(SPLITS):
        every = dataset.splits()[part]
        rows[part] = every.take(np.sort(np.random.default_rng(seed).permutation(len(every))[:ROWS]))
        asked = np.asarray(rows[part].y) if conditional(saved) else np.arange(0)
        z = noise_of(saved, len(rows[part]), seed + i, asked)
        if schema.kind == "images":
            made[part] = Made(np.zeros((0, *schema.shape)), asked, joined(map(view, made_of(saved, z))), asked)
        else:
            records = make(saved, z)
            made[part] = Made(records, asked, view(records), asked if len(asked) else told(records, schema))
    seen = {part: view(each.x) for part, each in rows.items()}
    return Compared(rows, seen, made, schema, partial(features_of, saved))


def scores_of(compared: Compared, part: str, seed: int) -> dict[str, float]:
    """Return the scores of one set, each followed by its floor."""
    other = BESIDE[part]
    real, made, floor = compared.seen[part], compared.made[part], compared.seen[other]
    found = likeness(real.features, made.seen.features, seed)
    floors = likeness(real.features, floor.features, seed)
    if len(real.classes):
        found["entropy"], floors["entropy"] = (
            entropy(_shares(classes)) for classes in (made.seen.classes, real.classes)
        )
    if len(made.y) and len(real.classes):
        found["agreement"] = float((made.seen.classes == made.y).mean())
        floors["agreement"] = float((floor.classes == compared.rows[other].y).mean())
    best = "train" if part != "train" else other
    if len(made.y):
        found["taught"], floors["taught"] = _taught(compared, part, best)
    if compared.schema.kind == "table":
        rows = {name: Rows(each.x, compared.features(each.x)) for name, each in compared.rows.items()}
        theirs = Rows(made.records, compared.features(made.records))
        for scores, each in ((found, theirs), (floors, rows[other])):
            scores["two_sample_trees"] = two_sample(rows[part].features, each.features, seed, trees=True)
        found |= of_columns(compared.schema, rows[part], theirs) | of_copies(theirs, rows["train"])
        held_out = rows[other if part == "train" else part]
        floors |= of_columns(compared.schema, rows[part], rows[other]) | of_copies(held_out, rows["train"])
    pairs = ((name, value, floors[name]) for name, value in found.items())
    return {key: value for name, own, least in pairs for key, value in ((name, own), (FLOOR.format(name), least))}


def _taught(compared: Compared, part: str, best: str) -> tuple[float, float]:
    """Return how well the rows of a set are told by what learnt from records, and from the real rows of set `best`."""
    teachers, truth = compared.made["train"], compared.rows[part].y
    score = accuracy if compared.schema.classes else explained
    if compared.schema.kind == "table":
        hidden = partial(compared.features, hidden=True)
        asked, lessons = hidden(compared.rows[part].x), (hidden(teachers.records), hidden(compared.rows[best].x))
    else:
        asked, lessons = compared.seen[part].features, (teachers.seen.features, compared.seen[best].features)
    made, real = (
        score(lesson, y, asked, truth) for lesson, y in zip(lessons, (teachers.y, compared.rows[best].y), strict=True)
    )
    return made, real


def _shares(classes: Array) -> Array:
    """Return how often each class is among (n,)."""
    return np.unique(classes, return_counts=True)[1] / len(classes)


def _tables(saved: Saved, history: pd.DataFrame, measured: Measured, compared: Compared) -> dict[str, pd.DataFrame]:
    columns = {
        "epoch": history["epoch"],
        **{name.partition("/")[2]: history[name] for name in ("train/critic", "train/generator")},
        **{name.partition("/")[2]: history[name] for name in ("val/energy", "val/kid", "val/diversity")},
    }
    tables = {"learning_curve": pd.DataFrame(columns), "gradients": gradients(measured)}
    if len(compared.seen["test"].classes):
        k = len(saved.schema.classes)
        seen = (compared.seen["test"].classes, compared.made["test"].seen.classes)
        real, made = (np.bincount(classes, minlength=k) / len(classes) for classes in seen)
        tables["classes"] = pd.DataFrame({"class": saved.schema.classes, "real": real, "made": made})
    if saved.schema.kind == "table":
        rows = compared.rows["test"].x, compared.made["test"].records
        tables["columns"] = histograms(saved.schema, *rows)
    return tables


def _predictions(saved: Saved, compared: Compared) -> pd.DataFrame:
    """Return a row per record: the class that was asked for and the one that is seen; of a table whole rows."""
    names = np.array(saved.schema.classes)
    if saved.schema.kind == "table":
        made = compared.made["train"]
        return written(made.records, made.asked, saved.schema)
    made = compared.made["test"]
    frame = pd.DataFrame({"row": np.arange(len(made.seen.features))})
    if len(made.asked):
        frame["asked"] = names[made.asked]
    if len(made.seen.classes):
        frame["seen"] = names[made.seen.classes]
    return frame


def _lines(scores: dict[str, float], compared: Compared, judge: Expert | None) -> list[str]:
    return [*lines_of(scores), *doubts(compared, judge), seen_by(judge)]


def lines_of(scores: dict[str, float]) -> list[str]:
    """Return what a person is told of scores that stand beside their floors."""
    return [
        f"{each} {scores[each]:.4f}, of real rows {scores[FLOOR.format(each)]:.4f} ({unit})"
        for each, unit in UNITS.items()
        if each in scores
    ]


def doubts(compared: Compared, judge: Expert | None) -> list[str]:
    """Return what a person is told of a judge that tells real test rows no better than their largest class would."""
    seen, truth = compared.seen["test"].classes, compared.rows["test"].y
    if judge is None or not len(seen):
        return []
    right, most = float((seen == truth).mean()), float(_shares(truth).max())
    if right > most + CERTAIN * np.sqrt(most * (1 - most) / len(truth)):
        return []
    return [
        f"the judge {judge.model} is no better than guessing: it tells {right:.4f} of real test rows, and their largest"
        f" class is {most:.4f} of them; scores by it say nothing"
    ]


def seen_by(judge: Expert | None) -> str:
    """Return what a person is told of who compared."""
    by = f"as {judge.model} ({judge.digest[:12]}) sees them" if judge else "by their own features"
    return f"records are compared {by}; other judges see other numbers"
