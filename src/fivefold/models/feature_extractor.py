"""A trained classifier as a judge of records: what it sees in them, and which class it takes them for.

Shapes: b rows, d numbers that it sees in a record, k classes.

How like real records made ones are, by what is seen in both.

Source: Szekely & Rizzo 2013 (energy distance); Binkowski et al. 2018 (kernel distance).
Shapes: n, m rows, d numbers that are seen in a record.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .. import paths
from ..config.models import Model
from ..config.selection import Encoded
from ..data.storage import digest
from ..errors import ArtifactError, ParamsError
from .serialization import Saved, load_model


@dataclass(frozen=True)
class Expert:
    """A classifier of ours that judges.

    model: its name in params.yaml.
    digest: SHA-256 that stands for all that its training wrote.
    """

    model: str
    digest: str
    saved: Saved

    @property
    def facts(self) -> dict[str, str]:
        """What a model that it judges must know of it; plain JSON values."""
        return {"model": self.model, "digest": self.digest}


def judge_of(model: Model) -> Expert | None:
    """Return the classifier that judges what a model makes, as it was trained last; None if it names none.

    Raises:
        ArtifactError: it was not trained, or was altered.
    """
    if model.lender is None or isinstance(model.select, Encoded):
        return None
    return _expert(model.lender)


def judge_again(facts: dict[str, Any]) -> Expert | None:
    """Return the judge by which a trained model, of which `facts` are known, was chosen; None if there was none.

    Raises:
        ArtifactError: it was trained again since, or was altered.
    """
    if "judge" not in facts:
        return None
    judge = _expert(facts["judge"]["model"])
    if judge.facts != facts["judge"]:
        raise ArtifactError(
            f"{facts['name']} must have the judge it was chosen by, {facts['judge']['digest']:.12},"
            f" but there is {judge.digest:.12} now; run `dvc repro`"
        )
    return judge


def _expert(name: str) -> Expert:
    folder = paths.model(name)
    return Expert(name, digest(folder), load_model(folder))


class Seen(NamedTuple):
    """What a classifier sees in records, (b, d), and how likely it takes each class for, (b, k)."""

    features: Tensor
    probabilities: Tensor


def expert_of(saved: Saved) -> Callable[[Tensor], Seen]:
    """Return what gives, of raw records (b, ...), the input of a classifier's last dense layer, and its probabilities.

    Raises:
        ParamsError: the network has no dense layer.
    """
    dense = [module for module in saved.model.network.modules() if isinstance(module, nn.Linear)]
    if not dense:
        raise ParamsError(
            f"a judge must have a dense layer, but {saved.facts['name']} of family {saved.network.family} has none;"
            " name another for `uses`"
        )
    caught: list[Tensor] = []

    def catch(_: nn.Module, given: tuple[Any, ...]) -> None:
        caught[:] = [given[0]]

    dense[-1].register_forward_pre_hook(catch)

    @torch.no_grad()
    def look(x: Tensor) -> Seen:
        told = saved.model(x)
        return Seen(caught[0].flatten(1), told)

    return look


def features_of(saved: Saved) -> Callable[[Tensor], Tensor]:
    """Return what gives, of raw records (b, ...), what a classifier sees in them, (b, d).

    Raises:
        ParamsError: the network has no dense layer.
    """
    look = expert_of(saved)
    return lambda x: look(x).features


ROWS = 1000
"""Rows whose pairs with as many others are in memory at a time."""

Pairs = Callable[[Tensor, Tensor], Tensor]
"""Rows (n, d) and (m, d) -> a number for each pair, (n, m)."""


def energy(real: Tensor, made: Tensor) -> float:
    """Return the energy distance of rows (n, d) and (m, d), in the mean distance of two real ones; without bias.

    It is 0 for rows of one distribution and above for any other; about 1 where all made rows are one real one.
    """
    own = spread(real)
    return (2 * apart(real, made) - own - spread(made)) / own if own else 0.0


def kid(real: Tensor, made: Tensor) -> float:
    """Return the squared maximum mean discrepancy of rows (n, d) and (m, d), without bias; about 0 if they are alike.

    Its kernel is (x y / d + 1)^3. All rows are taken at once, in place of means over subsets.
    """
    n, m = len(real), len(made)
    own = (_total(real, real, _kernels) - _kernels_of_itself(real)) / (n * (n - 1))
    theirs = (_total(made, made, _kernels) - _kernels_of_itself(made)) / (m * (m - 1))
    return own + theirs - 2 * _total(real, made, _kernels) / (n * m)


def spread(rows: Tensor) -> float:
    """Return the mean distance of two rows out of (n, d)."""
    n = len(rows)
    return _total(rows, rows, torch.cdist) / (n * (n - 1))


def apart(x: Tensor, y: Tensor) -> float:
    """Return the mean distance of a row out of (n, d) from one out of (m, d)."""
    return _total(x, y, torch.cdist) / (len(x) * len(y))


def _total(x: Tensor, y: Tensor, pairs: Pairs) -> float:
    """Return the sum over all pairs of rows, in blocks; of x and itself what is above the diagonal twice."""
    total = 0.0
    for i in range(0, len(x), ROWS):
        part = x[i : i + ROWS].double()
        for j in range(i if x is y else 0, len(y), ROWS):
            times = 2 if x is y and j > i else 1
            total += times * float(pairs(part, y[j : j + ROWS].double()).sum())
    return total


def _kernels(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1).pow(3)


def _kernels_of_itself(x: Tensor) -> float:
    return sum(float(((part * part).mean(1) + 1).pow(3).sum()) for part in (p.double() for p in torch.split(x, ROWS)))
