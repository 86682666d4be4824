"""Why a network learns nothing, read from what was measured in it; and how remedies are put.

Look at what a network is given, before it is trained.

Shapes: n rows, k classes or values, q quantile levels.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import median

import torch
from torch import Tensor

from ...config.training import BCELoss, HuberLoss, MeanErrorLoss, QuantileLoss
from ...data.schema import Schema
from ...models.losses import Loss, MultiTaskLoss, SupervisedLoss
from .summary import Finding, InputStats, TrainingSummary

MIN_TOTAL_UPDATE = 0.02
"""What all steps together must be able to move weights by, as a share of them, to have a chance."""
VANISHING_RATIO = 1e-3
"""Gradient of the first layer as a share of the last one's, or of the first steps as a share of the largest."""
MAX_DEAD_FRACTION = 0.5
"""Share of a layer's units that may be dead."""
MIN_LOSS_DECREASE = 0.02
"""Fall of the loss, in `constant`, that says that it is on its way."""

CONSTANT_PREDICTION_TEXT = "where the same guess for all rows has"
"""Behind a loss: what it is worth."""


def find_cause(summary: TrainingSummary) -> Finding:
    """Return why nothing was learnt."""
    best = min(summary.val_losses)
    stays = f"val/loss is {best:.3g} at best, {CONSTANT_PREDICTION_TEXT} {summary.input_stats.constant_loss:.3g}"
    share, layer = _max_dead_fraction(summary)
    if share > 0.95:
        return Finding("dead_units", "problem", f"{stays}, and {_describe_dead_units(summary, share, layer)}")
    first, last, ratio = _gradient_ratio(summary)
    if ratio < VANISHING_RATIO:
        return Finding(
            "vanishing_gradients",
            "problem",
            f"{stays}, and the gradient of {first} is {ratio:.1g} times that of {last}: gradients vanish; try"
            f" {_suggest_settings(summary, ('activation relu', 'init kaiming', 'norm batch'), 'fewer layers')}",
        )
    if _total_update(summary) < MIN_TOTAL_UPDATE:
        return Finding(
            "rate_too_low",
            "problem",
            f"{stays}, and a step moves weights by {_total_update(summary) / summary.steps_per_epoch / len(summary.train_losses):.1g} of their"
            f" size: learning rate too low; raise training.optimizer.lr (now {summary.lr:g})",
        )
    layer, reach = _lowest_early_gradient_ratio(summary)
    if reach < VANISHING_RATIO:
        return Finding(
            "vanishing_over_time",
            "problem",
            f"{stays}, and of the gradient of {layer} {reach:.1g} reaches the first steps of a record: gradients vanish"
            f" over time; try {join_with_or([*applicable_settings(summary, 'cell lstm', 'cell gru', 'pool mean'), 'shorter records'])}",
        )
    falls = summary.val_losses.index(best) == len(summary.val_losses) - 1
    if (
        falls
        and summary.train_losses[0] - summary.train_losses[-1] > MIN_LOSS_DECREASE * summary.input_stats.constant_loss
    ):
        return Finding(
            "rate_too_low",
            "problem",
            f"{stays}, but it falls to the last epoch: learning is too slow; raise training.optimizer.lr"
            f" (now {summary.lr:g}) or training.max_epochs (now {summary.max_epochs})",
        )
    return Finding(
        "nothing_learnt",
        "problem",
        f"{stays}: nothing was learnt; try another training.optimizer.lr (now {summary.lr:g}), a wider network, or"
        " better features",
    )


def _gradient_ratio(summary: TrainingSummary) -> tuple[str, str, float]:
    """Return first and last layer, and the ratio of their gradients' norms in the middle epoch."""
    norms = [
        (layer, found)
        for layer, values in summary.measurements.get("gradient", {}).items()
        if (found := _drop_none(values))
    ]
    if len(norms) < 2:
        return "", "", 1.0
    (first, ahead), (last, back) = norms[0], norms[-1]
    end = median(back)
    return first, last, median(ahead) / end if end else 1.0


def _lowest_early_gradient_ratio(summary: TrainingSummary) -> tuple[str, float]:
    """Return the recurrent layer that looks back least, and how much of its gradient reaches the first steps."""
    shares = {
        layer: median(found) for layer, v in summary.measurements.get("reach", {}).items() if (found := _drop_none(v))
    }
    return min(shares.items(), key=lambda item: item[1], default=("", 1.0))


def _total_update(summary: TrainingSummary) -> float:
    """Return by how much all steps together can have moved the weights that moved most, as a share of them."""
    steps = [
        median(found) for values in summary.measurements.get("update", {}).values() if (found := _drop_none(values))
    ]
    return max(steps, default=1.0) * summary.steps_per_epoch * len(summary.train_losses)


def _max_dead_fraction(summary: TrainingSummary) -> tuple[float, str]:
    """Return the largest share of dead units in the last epochs, and its layer."""
    shares = [
        (median(found[-3:]), layer)
        for layer, v in summary.measurements.get("dead", {}).items()
        if (found := _drop_none(v))
    ]
    return max(shares, default=(0.0, ""))


def _describe_dead_units(summary: TrainingSummary, fraction: float, layer: str) -> str:
    where = f"{fraction:.0%} of the units of {layer}"
    lower = f"a lower training.optimizer.lr (now {summary.lr:g})"
    if summary.network_params.get("activation") in ("sigmoid", "tanh"):
        remedies = _suggest_settings(summary, ("activation relu", "init xavier"), lower)
        return f"{where} are at their bounds for all rows; try {remedies}"
    remedies = _suggest_settings(summary, ("activation leaky_relu", "init kaiming"), lower)
    return f"{where} are 0 for all rows; try {remedies}"


def _suggest_settings(summary: TrainingSummary, settings: Sequence[str], alternative: str) -> str:
    """Return settings that may help, and what may beside them; weights that are all 0 leave no choice but of init."""
    if summary.network_params.get("init") == "zeros":
        begins = next(setting for setting in settings if setting.startswith("init "))
        return f"network.{begins}: units whose weights are all 0 at first stay alike"
    return join_with_or([*applicable_settings(summary, *settings), alternative])


def check_dead_units(summary: TrainingSummary) -> Iterator[Finding]:
    """Tell of a layer most of whose units do nothing, in a network that learns all the same."""
    share, layer = _max_dead_fraction(summary)
    if share > MAX_DEAD_FRACTION:
        yield Finding("dead_units", "hint", _describe_dead_units(summary, share, layer))


def _drop_none(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def applicable_settings(summary: TrainingSummary, *settings: str) -> list[str]:
    """Return settings of the network that would change it: `activation relu`, `dropout`."""
    words = [(setting, *setting.partition(" ")[::2]) for setting in settings]
    network = summary.network_params
    if network.get("hidden") == []:  # both are of hidden layers
        return []
    return [f"network.{setting}" for setting, key, value in words if key in network and network[key] != value]


def join_with_or(remedies: Sequence[str]) -> str:
    """Return `a, b or c`."""
    return " or ".join(filter(None, (", ".join(remedies[:-1]), remedies[-1])))


MAX_ROWS = 2048
"""Rows that the sizes of features are taken of."""
MAX_OUTPUTS = 2**22
"""Outputs that the constant's loss is taken of."""

TensorPair = tuple[Tensor, Tensor]


def compute_input_stats(
    schema: Schema,
    feature_names: tuple[str, ...],
    train: TensorPair,
    validation: TensorPair,
    criterion: Loss,
    *,
    is_balanced: bool,
) -> InputStats:
    """Return what is known of preprocessed features and targets.

    names: of the features, where they have names.
    balanced: whether classes are learnt as if they came equally often.
    """
    sizes = _feature_rms(schema, train[0])
    place = int(sizes.argmax()) if sizes is not None else 0
    leading = criterion.primary_target(train[1]) if isinstance(criterion, MultiTaskLoss) else train[1]
    seen = torch.bincount(leading, minlength=criterion.n_classes).tolist() if criterion.n_classes else []
    language = schema.task == "language_modeling"  # most of a vocabulary may be absent
    return InputStats(
        kind=schema.kind,
        median_rms=None if sizes is None else float(sizes[sizes > 0].median()) if sizes.any() else 0.0,
        max_rms=None if sizes is None else float(sizes[place]),
        max_rms_feature=feature_names[place] if place < len(feature_names) else str(place),
        missing_classes=()
        if language
        else tuple(n for n, count in zip(schema.classes, seen, strict=False) if not count),
        has_constant_target=bool((leading == leading[0]).all()),
        input_size=train[0].shape[1] if schema.kind == "table" else math.prod(schema.shape),
        constant_loss=constant_prediction_loss(criterion, train[1], validation[1], is_balanced=is_balanced),
    )


def _feature_rms(schema: Schema, x: Tensor) -> Tensor | None:
    """Return the root mean square of each feature, or channel; None for tokens."""
    if schema.vocabulary:
        return None
    sample = x[:: max(1, len(x) // MAX_ROWS)].double()
    axis = 1 if schema.kind == "images" and x.ndim == 4 else x.ndim - 1
    return sample.square().mean([dim for dim in range(x.ndim) if dim != axis]).sqrt()


def constant_prediction_loss(criterion: Loss, train: Tensor, validation: Tensor, *, is_balanced: bool) -> float:
    """Return the loss of validation targets if for each row the network gave the same, fitted to training targets."""
    if not isinstance(criterion, SupervisedLoss | MultiTaskLoss):
        told: float = criterion.constant(train, validation[:: 1 + validation.numel() // MAX_OUTPUTS])  # type: ignore[operator]
        return told
    out = _fit_constant_output(criterion, train, is_balanced=is_balanced).to(validation.device)
    rows = validation[:: 1 + len(validation) * len(out) // MAX_OUTPUTS]
    return float(criterion(out.expand(len(rows), -1), rows).detach())


def _fit_constant_output(criterion: SupervisedLoss | MultiTaskLoss, y: Tensor, *, is_balanced: bool) -> Tensor:
    """Return the outputs (k,) that fit targets best, if they must be the same for each row."""
    if isinstance(criterion, MultiTaskLoss):
        known = [column[~column.isnan()] for column in y.T]
        each = zip((criterion.primary, *criterion.auxiliary), known, strict=True)
        return torch.cat(
            [
                _fit_constant_output(one, c.long() if one.classes else c[:, None], is_balanced=is_balanced)
                for one, c in each
            ]
        )
    if criterion.n_classes:
        counts = torch.bincount(y, minlength=criterion.n_classes).float()
        shares = ((counts > 0).float() if is_balanced else counts) + 1e-3
        shares = shares / shares.sum()
        return shares[1:].logit() if isinstance(criterion.config, BCELoss) else shares.log()
    sample = y[:: max(1, len(y) // MAX_ROWS)]
    match criterion.config:
        case QuantileLoss():
            return sample.quantile(criterion.quantiles.to(y.device), dim=0).T.flatten()  # (q, k) -> (k * q,)
        case MeanErrorLoss(name="mae") | HuberLoss():
            return sample.median(dim=0).values
    return y.mean(dim=0)
