"""Why a network learns nothing, read from what was measured in it; and how remedies are put.

Look at what a network is given, before it is trained.

Shapes: n rows, k classes or values, q quantile levels.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import median

import torch
from torch import Tensor

from ...config.training import Bce, Huber, Plain, Quantile
from ...data.schema import Schema
from ...models.losses import Judge, Objective, Together
from .summary import Course, Finding, Inputs

MOVED = 0.02
"""What all steps together must be able to move weights by, as a share of them, to have a chance."""
VANISHED = 1e-3
"""Gradient of the first layer as a share of the last one's, or of the first steps as a share of the largest."""
DEAD = 0.5
"""Share of a layer's units that may be dead."""
FALLEN = 0.02
"""Fall of the loss, in `constant`, that says that it is on its way."""

GUESS = "where the same guess for all rows has"
"""Behind a loss: what it is worth."""


def cause(course: Course) -> Finding:
    """Return why nothing was learnt."""
    best = min(course.val)
    stays = f"val/loss is {best:.3g} at best, {GUESS} {course.inputs.constant:.3g}"
    share, layer = _dead(course)
    if share > 0.95:
        return Finding("dead_units", "problem", f"{stays}, and {_says_dead(course, share, layer)}")
    first, last, ratio = _vanishing(course)
    if ratio < VANISHED:
        return Finding(
            "vanishing_gradients",
            "problem",
            f"{stays}, and the gradient of {first} is {ratio:.1g} times that of {last}: gradients vanish; try"
            f" {_tried(course, ('activation relu', 'init kaiming', 'norm batch'), 'fewer layers')}",
        )
    if _moved(course) < MOVED:
        return Finding(
            "rate_too_low",
            "problem",
            f"{stays}, and a step moves weights by {_moved(course) / course.steps / len(course.train):.1g} of their"
            f" size: learning rate too low; raise training.optimizer.lr (now {course.lr:g})",
        )
    layer, reach = _reach(course)
    if reach < VANISHED:
        return Finding(
            "vanishing_over_time",
            "problem",
            f"{stays}, and of the gradient of {layer} {reach:.1g} reaches the first steps of a record: gradients vanish"
            f" over time; try {either([*offered(course, 'cell lstm', 'cell gru', 'pool mean'), 'shorter records'])}",
        )
    falls = course.val.index(best) == len(course.val) - 1
    if falls and course.train[0] - course.train[-1] > FALLEN * course.inputs.constant:
        return Finding(
            "rate_too_low",
            "problem",
            f"{stays}, but it falls to the last epoch: learning is too slow; raise training.optimizer.lr"
            f" (now {course.lr:g}) or training.max_epochs (now {course.max_epochs})",
        )
    return Finding(
        "nothing_learnt",
        "problem",
        f"{stays}: nothing was learnt; try another training.optimizer.lr (now {course.lr:g}), a wider network, or"
        " better features",
    )


def _vanishing(course: Course) -> tuple[str, str, float]:
    """Return first and last layer, and the ratio of their gradients' norms in the middle epoch."""
    norms = [
        (layer, found) for layer, values in course.measured.get("gradient", {}).items() if (found := _some(values))
    ]
    if len(norms) < 2:
        return "", "", 1.0
    (first, ahead), (last, back) = norms[0], norms[-1]
    end = median(back)
    return first, last, median(ahead) / end if end else 1.0


def _reach(course: Course) -> tuple[str, float]:
    """Return the recurrent layer that looks back least, and how much of its gradient reaches the first steps."""
    shares = {layer: median(found) for layer, v in course.measured.get("reach", {}).items() if (found := _some(v))}
    return min(shares.items(), key=lambda item: item[1], default=("", 1.0))


def _moved(course: Course) -> float:
    """Return by how much all steps together can have moved the weights that moved most, as a share of them."""
    steps = [median(found) for values in course.measured.get("update", {}).values() if (found := _some(values))]
    return max(steps, default=1.0) * course.steps * len(course.train)


def _dead(course: Course) -> tuple[float, str]:
    """Return the largest share of dead units in the last epochs, and its layer."""
    shares = [
        (median(found[-3:]), layer) for layer, v in course.measured.get("dead", {}).items() if (found := _some(v))
    ]
    return max(shares, default=(0.0, ""))


def _says_dead(course: Course, share: float, layer: str) -> str:
    where = f"{share:.0%} of the units of {layer}"
    lower = f"a lower training.optimizer.lr (now {course.lr:g})"
    if course.network.get("activation") in ("sigmoid", "tanh"):
        remedies = _tried(course, ("activation relu", "init xavier"), lower)
        return f"{where} are at their bounds for all rows; try {remedies}"
    remedies = _tried(course, ("activation leaky_relu", "init kaiming"), lower)
    return f"{where} are 0 for all rows; try {remedies}"


def _tried(course: Course, settings: Sequence[str], beside: str) -> str:
    """Return settings that may help, and what may beside them; weights that are all 0 leave no choice but of init."""
    if course.network.get("init") == "zero":
        begins = next(setting for setting in settings if setting.startswith("init "))
        return f"network.{begins}: units whose weights are all 0 at first stay alike"
    return either([*offered(course, *settings), beside])


def dead_units(course: Course) -> Iterator[Finding]:
    """Tell of a layer most of whose units do nothing, in a network that learns all the same."""
    share, layer = _dead(course)
    if share > DEAD:
        yield Finding("dead_units", "hint", _says_dead(course, share, layer))


def _some(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def offered(course: Course, *settings: str) -> list[str]:
    """Return settings of the network that would change it: `activation relu`, `dropout`."""
    words = [(setting, *setting.partition(" ")[::2]) for setting in settings]
    network = course.network
    if network.get("hidden") == []:  # both are of hidden layers
        return []
    return [f"network.{setting}" for setting, key, value in words if key in network and network[key] != value]


def either(remedies: Sequence[str]) -> str:
    """Return `a, b or c`."""
    return " or ".join(filter(None, (", ".join(remedies[:-1]), remedies[-1])))


ROWS = 2048
"""Rows that the sizes of features are taken of."""
NUMBERS = 2**22
"""Outputs that the constant's loss is taken of."""

Rows = tuple[Tensor, Tensor]


def inputs_of(
    schema: Schema,
    names: tuple[str, ...],
    train: Rows,
    validation: Rows,
    objective: Judge,
    *,
    balanced: bool,
) -> Inputs:
    """Return what is known of preprocessed features and targets.

    names: of the features, where they have names.
    balanced: whether classes are learnt as if they came equally often.
    """
    sizes = _sizes(schema, train[0])
    place = int(sizes.argmax()) if sizes is not None else 0
    leading = objective.leading_of(train[1]) if isinstance(objective, Together) else train[1]
    seen = torch.bincount(leading, minlength=objective.classes).tolist() if objective.classes else []
    language = schema.task == "language"  # most of a vocabulary may be absent
    return Inputs(
        kind=schema.kind,
        typical=None if sizes is None else float(sizes[sizes > 0].median()) if sizes.any() else 0.0,
        largest=None if sizes is None else float(sizes[place]),
        feature=names[place] if place < len(names) else str(place),
        absent=() if language else tuple(n for n, count in zip(schema.classes, seen, strict=False) if not count),
        single=bool((leading == leading[0]).all()),
        numbers=train[0].shape[1] if schema.kind == "table" else math.prod(schema.shape),
        constant=constant_loss(objective, train[1], validation[1], balanced=balanced),
    )


def _sizes(schema: Schema, x: Tensor) -> Tensor | None:
    """Return the root mean square of each feature, or channel; None for tokens."""
    if schema.vocabulary:
        return None
    sample = x[:: max(1, len(x) // ROWS)].double()
    axis = 1 if schema.kind == "images" and x.ndim == 4 else x.ndim - 1
    return sample.square().mean([dim for dim in range(x.ndim) if dim != axis]).sqrt()


def constant_loss(objective: Judge, train: Tensor, validation: Tensor, *, balanced: bool) -> float:
    """Return the loss of validation targets if for each row the network gave the same, fitted to training targets."""
    if not isinstance(objective, Objective | Together):
        told: float = objective.constant(train, validation[:: 1 + validation.numel() // NUMBERS])  # type: ignore[operator]
        return told
    out = _constant(objective, train, balanced=balanced).to(validation.device)
    rows = validation[:: 1 + len(validation) * len(out) // NUMBERS]
    return float(objective(out.expand(len(rows), -1), rows).detach())


def _constant(objective: Objective | Together, y: Tensor, *, balanced: bool) -> Tensor:
    """Return the outputs (k,) that fit targets best, if they must be the same for each row."""
    if isinstance(objective, Together):
        known = [column[~column.isnan()] for column in y.T]
        each = zip((objective.leading, *objective.further), known, strict=True)
        return torch.cat(
            [_constant(one, c.long() if one.classes else c[:, None], balanced=balanced) for one, c in each]
        )
    if objective.classes:
        counts = torch.bincount(y, minlength=objective.classes).float()
        shares = ((counts > 0).float() if balanced else counts) + 1e-3
        shares = shares / shares.sum()
        return shares[1:].logit() if isinstance(objective.loss, Bce) else shares.log()
    sample = y[:: max(1, len(y) // ROWS)]
    match objective.loss:
        case Quantile():
            return sample.quantile(objective.levels.to(y.device), dim=0).T.flatten()  # (q, k) -> (k * q,)
        case Plain(name="mae") | Huber():
            return sample.median(dim=0).values
    return y.mean(dim=0)
