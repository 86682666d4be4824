"""The report of a translator: whether translated images are taken for real ones, and whether they lead back.

Names that end in `_first` are of translations into the first class, those in `_second` of translations into the second.
Shapes: n images.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from ..data.dataset import SPLITS, Dataset
from ..models.feature_extractor import Expert, kid
from ..models.serialization import Saved
from .of_samples import BESIDE, FLOOR, ROWS, SHORT
from .report import Report
from .samples import Viewer, Views
from .translation_pictures import LOOKS, learning_curve, there_and_back
from .translations import Direction, directions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Both = tuple[Direction, Direction]

SIDES = ("first", "second")

LEARNT = ("train/generator", "train/critic_first", "train/critic_second", *[f"val/{name}" for name in LOOKS])

UNITS = {
    "target_rate": "share that the judge takes for images of the class they are translated into; higher is better",
    "cycle_l1": "absolute difference after there and back, the range of pixels being 1; lower is better",
    "identity_l1": "absolute difference of images translated into their own class; lower is better",
    "kid": "kernel distance from images of the class they are translated into; lower is better",
}


def report(name: str, saved: Saved, dataset: Dataset, history: pd.DataFrame, judge: Expert | None) -> Report:
    """Score model `name` on the rows it was trained, chosen and tested with, as `judge` sees them."""
    view, seed = Viewer(saved, judge), int(saved.facts["params"]["seed"])
    found: dict[str, Both] = {}
    for part in SPLITS:
        every = dataset.splits()[part]
        rows = every.take(np.sort(np.random.default_rng(seed).permutation(len(every))[:ROWS]))
        found[part] = directions(saved, rows, view)
    scores = {SHORT[part]: _scores(found[part], found[BESIDE[part]]) for part in ("test", "validation", "train")}
    learning = pd.DataFrame({"epoch": history["epoch"], **{key.partition("/")[2]: history[key] for key in LEARNT}})
    drawn: dict[str, Callable[[], Figure]] = {"learning_curve": partial(learning_curve, learning, name)}
    for side, there, label in zip(SIDES, found["test"], saved.schema.classes, strict=True):
        drawn[f"into_{side}"] = partial(there_and_back, name, there, label)
    lines = _lines(scores["test"], saved.schema.classes, judge)
    return Report(scores, _predictions(saved, found["test"]), {"learning_curve": learning}, drawn, lines)


def _scores(found: Both, beside: Both) -> dict[str, float]:
    """Return the scores of one set, means of both directions first; beside: another set, for what real rows score."""
    each = [_of(found[i], found[1 - i].seen, beside[i].seen, i) for i in range(2)]
    means = {name: (each[0][name] + each[1][name]) / 2 for name in each[0]}
    return means | {
        f"{name}_{side}": value for side, own in zip(SIDES, each, strict=True) for name, value in own.items()
    }


def _of(there: Direction, before: Views, beside: Views, into: int) -> dict[str, float]:
    """Return the scores of translations into a class.

    A floor is the score of real images of that class, of the kernel distance those of another set; `kid_before` that of
    images as they were.
    """
    judged = len(there.seen.classes) > 0
    return {
        **({"target_rate": float((there.made_seen.classes == into).mean())} if judged else {}),
        "cycle_l1": float(there.cycle_l1.mean()),
        "kid": _kid(there.seen, there.made_seen),
        FLOOR.format("kid"): _kid(there.seen, beside),
        "kid_before": _kid(there.seen, before),
        "identity_l1": float(there.identity_l1.mean()),
        **({FLOOR.format("target_rate"): float((there.seen.classes == into).mean())} if judged else {}),
    }


def _kid(real: Views, made: Views) -> float:
    return kid(torch.from_numpy(real.features), torch.from_numpy(made.features))


def _predictions(saved: Saved, found: Both) -> pd.DataFrame:
    """Return a row per image: its class, the one it is translated into, the one that is seen then, what is lost."""
    names = np.array(saved.schema.classes)
    frames = [
        pd.DataFrame(
            {
                "row": there.sources.rows,
                "from": names[1 - into],
                "to": names[into],
                **({"judged": names[there.made_seen.classes]} if len(there.made_seen.classes) else {}),
                "cycle_l1": there.cycle_l1,
            }
        )
        for into, there in enumerate(found)
    ]
    return pd.concat(frames).sort_values("row", ignore_index=True)


def _lines(scores: dict[str, float], classes: tuple[str, ...], judge: Expert | None) -> list[str]:
    lines = []
    for each, unit in UNITS.items():
        if each not in scores:
            continue
        sides = ", ".join(
            f"into {label} {scores[f'{each}_{side}']:.4f}" for side, label in zip(SIDES, classes, strict=True)
        )
        floor = FLOOR.format(each)
        real = f"; of real images {scores[floor]:.4f}" if floor in scores else ""
        lines.append(f"{each} {scores[each]:.4f}, {sides}{real} ({unit})")
    by = f"as {judge.model} ({judge.digest[:12]}) sees them" if judge else "by their pixels, since there is no judge"
    return [*lines, f"images are compared {by}"]
