"""The block `select`: ranges of its options and compatibility with datasets and networks."""

import re
from typing import Any

import pytest

from fivefold.config.loading import parse_params
from fivefold.errors import ParamsError

from .helpers import changed

PERCENTILE = {"method": "percentile", "score_func": "f", "percentile": 50}

BAD = [
    ({**PERCENTILE, "percentile": 0}, "percentile must be greater than 0, but is 0; change it"),
    ({**PERCENTILE, "percentile": 101}, "percentile must be less than or equal to 100, but is 101; change it"),
    ({**PERCENTILE, "score_func": "r2"}, "score_func must be 'chi2', 'f' or 'mutual_info', but is 'r2'; change it"),
    (
        {**PERCENTILE, "stability_resamples": -1},
        "stability_resamples must be greater than or equal to 0, but is -1; change it",
    ),
    ({"method": "variance", "threshold": -0.1}, "threshold must be greater than or equal to 0, but is -0.1; change it"),
    ({"method": "variance"}, "threshold is required, but is missing; add it"),
    ({"method": "l1", "alpha": 0}, "alpha must be greater than 0, but is 0; change it"),
    (
        {"method": "l1", "alpha": 0.1, "max_features": -1},
        "max_features must be greater than or equal to 0, but is -1; change it",
    ),
    ({"method": "rfe", "n_features_to_select": 0}, "n_features_to_select must be greater than 0, but is 0; change it"),
    ({"method": "rfe", "n_features_to_select": 3, "step": 1}, "step must be less than 1, but is 1; change it"),
    (
        {"method": "rfe", "n_features_to_select": 3, "steps": 0.1},
        "steps is not a known key, but is set to 0.1; did you mean 'step'?",
    ),
    (
        {"method": "lasso"},
        "method must be one of 'none', 'k_best', 'percentile', 'variance', 'l1', 'rfe', 'pca', 'autoencoder', but",
    ),
]


@pytest.mark.parametrize(("block", "message"), BAD)
def test_invalid_value_is_rejected(block: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=rf"\Aparams\.yaml: models\.flat\.select\.{re.escape(message)}[^\n]*\Z"):
        parse_params(changed("models.flat.select", block))


@pytest.mark.parametrize(
    "block",
    [{"method": "k_best", "score_func": "chi2", "k": 2}, {**PERCENTILE, "score_func": "chi2"}],
    ids=lambda block: block["method"],
)
def test_chi2_needs_classes(block: dict[str, Any]) -> None:
    parse_params(changed("models.flat.select", block))
    message = "models.line.select.score_func: chi2 needs classes, but the task is regression; choose f or mutual_info"
    with pytest.raises(ParamsError, match=re.escape(message)):
        parse_params(changed("models.line.select", block))


SERIES = {
    "kind": "series", "source": "s.csv", "task": "forecasting", "time": "t", "targets": ["a"], "window": 8,
    "split": {"by": "time", "validation": 9, "test": 9}, "normalize": "standard",
}  # fmt: skip
TEXT = {
    "kind": "text", "source": "t.csv", "task": "classification", "target": "y", "max_length": 8,
    "split": {"by": "random", "validation": 9, "test": 9},
}  # fmt: skip


def tree_with_selection(dataset: dict[str, Any], network: dict[str, Any], **training: Any) -> dict[str, Any]:
    """Return the example with a model that selects half of the features of another dataset."""
    tree = changed("datasets.more", dataset)
    tree["models"]["more"] = {
        "dataset": "more",
        "depends_on": "none",
        "select": PERCENTILE,
        "network": network,
        "training": training,
    }
    return tree


def test_steps_of_a_series_can_only_be_selected_for_an_mlp() -> None:
    parse_params(tree_with_selection(SERIES, {"family": "mlp"}, difference="last"))
    for network in ({"family": "rnn"}, {"family": "cnn", "architecture": "tcn"}):
        with pytest.raises(
            ParamsError, match=r"models\.more\.network\..* select\.method is percentile; choose family mlp"
        ):
            parse_params(tree_with_selection(SERIES, network))


def test_tokens_of_a_text_cannot_be_selected() -> None:
    message = (
        "models.more.select.method: tokens of a text are a sequence and cannot be selected; set select {method: none}"
    )
    with pytest.raises(ParamsError, match=re.escape(message)):
        parse_params(tree_with_selection(TEXT, {"family": "mlp"}))


def test_augmentation_of_windows_excludes_selection() -> None:
    message = (
        "models.more.training.augment.jitter: transforms complete images or windows, but select.method is percentile;"
        " set select {method: none}, or remove it"
    )
    with pytest.raises(ParamsError, match=re.escape(message)):
        parse_params(tree_with_selection(SERIES, {"family": "mlp"}, augment={"jitter": 0.1}))


@pytest.mark.parametrize(
    "block", [PERCENTILE, {"method": "variance", "threshold": 0}, {"method": "rfe", "n_features_to_select": 3}]
)
def test_cnn_excludes_selection(block: dict[str, Any]) -> None:
    with pytest.raises(
        ParamsError, match=rf"plain needs complete images, .* and select\.method is {block['method']}; choose"
    ):
        parse_params(changed("models.wide.select", block))
