"""Look at what a network is given, before it is trained.

Shapes: n rows, k classes or values, q quantile levels.
"""

import math

import torch
from torch import Tensor

from ...config.training import Bce, Huber, Plain, Quantile
from ...data.schema import Schema
from ...models.losses import Judge, Objective, Together
from .course import Inputs

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
