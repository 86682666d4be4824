"""The report of a translator: whether translated images are taken for real ones, and whether they lead back.

Names that end in `_first` are of translations into the first class, those in `_second` of translations into the second.
Shapes: n images.

Pictures of translated images, and of how a translator came about.

Shapes: n images.

Images of both classes, translated, and what is seen in them.

Shapes: n images, c channels, h x w pixels.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..data.dataset import SPLITS, Array, Dataset, Records
from ..models.feature_extractor import Expert, kid
from ..models.serialization import Saved
from ..plotting import figure, title
from .generation.report import BESIDE, FLOOR, ROWS, SHORT
from .generation.samples import Viewer, Views, in_batches
from .image_plots import plot_image_rows
from .report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANGE = 255
"""Of pixels."""


class Direction(NamedTuple):
    """Images of one class translated into the other one, raw.

    sources: rows of the one. rows: those of the other, and seen: what is seen in them.
    made: the sources, translated, and made_seen: what is seen in those.
    back: what is made, translated back.
    same: what the generator that translates makes of `rows`, which are of its class already.
    """

    sources: Records
    rows: Records
    seen: Views
    made: Array
    made_seen: Views
    back: Array
    same: Array

    @property
    def cycle_l1(self) -> Array:
        """Mean absolute difference of each source from what is back, (n,), the range of pixels being 1."""
        return _apart(self.back, self.sources.x)

    @property
    def identity_l1(self) -> Array:
        """The same of each of `rows` from what is made of it, (n,)."""
        return _apart(self.same, self.rows.x)


def directions(saved: Saved, records: Records, view: Viewer) -> tuple[Direction, Direction]:
    """Return the rows of the second class translated into the first, and those of the first into the second."""
    first, second = (records.take(np.flatnonzero(np.asarray(records.y) == i)) for i in range(2))
    seen = [view(rows.x) for rows in (first, second)]
    found = []
    for into, (sources, rows) in enumerate(((second, first), (first, second))):
        made, back = translated(saved, sources.x, into)
        same, _ = translated(saved, rows.x, into)
        found.append(Direction(sources, rows, seen[into], made, view(made), back, same))
    return found[0], found[1]


@torch.inference_mode()
def translated(saved: Saved, x: Array, into: int) -> tuple[Array, Array]:
    """Return what raw images x (n, c, h, w) are in the class of index `into`, and what that is in the other one, raw.

    What goes back is what the generator made, before pixels are brought within their range.
    """
    preprocess, undo = saved.model.preprocess, saved.model.output.get_submodule("undo")
    there, back = (saved.model.network.get_submodule(f"generator.into.{i}") for i in (into, 1 - into))
    found = []
    for part in in_batches(x):
        made = there(preprocess(part))
        found.append((undo(made), undo(back(made))))
    made, returned = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    return made, returned


def _apart(told: Array, truth: Array) -> Array:
    return np.asarray(np.abs(told - truth.astype(np.float32)).mean(axis=(1, 2, 3)) / RANGE)


LOOKS = {
    "kid": "kernel distance, that of the two classes being 1",
    "cycle_l1": "cycle L1, pixels from 0 to 1",
    "diversity": "diversity, 1 is that of real rows",
}
"""What was measured of validation rows, and what it says."""


def there_and_back(name: str, there: Direction, label: str) -> Figure:
    """Test images of a class, what they are in the other one, and what that is back."""
    shown = {"record": there.sources.x.astype(np.float64), "there": there.made, "back": there.back}
    return plot_image_rows(f"{name}: test rows, what they are as {label}, and what that is back", shown)


def learning_curve(table: pd.DataFrame, model: str) -> Figure:
    """Losses of all players over epochs, and below them what was measured of validation rows."""
    fig, first = figure(6.0, 5.0)
    first.remove()
    above, below = fig.subplots(2, 1, sharex=True)
    for player in table.columns.drop(["epoch", *LOOKS]):
        above.plot(table.epoch, table[player], label=player.replace("_", ", "))
    seen = table.dropna()
    for measure, text in LOOKS.items():
        below.plot(seen.epoch, seen[measure], marker=".", label=text)
    above.set(ylabel="loss")
    below.set(xlabel="epoch")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (above, below):
        axes.legend(fontsize="small")
    title(fig, f"{model}: the contest")
    return fig


Both = tuple[Direction, Direction]

SIDES = ("first", "second")

LEARNT = ("train/generator", "train/critic_first", "train/critic_second", *[f"val/{name}" for name in LOOKS])

UNITS = {
    "target_rate": "share that the judge takes for images of the class they are translated into; higher is better",
    "cycle_l1": "absolute difference after there and back, the range of pixels being 1; lower is better",
    "identity_l1": "absolute difference of images translated into their own class; lower is better",
    "kid": "kernel distance from images of the class they are translated into; lower is better",
}


def evaluate_translator(
    name: str, saved: Saved, dataset: Dataset, history: pd.DataFrame, judge: Expert | None
) -> Report:
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
