"""The block `select`: its ranges, its defaults, and what it asks of a dataset."""

import re
from typing import Any

import pytest

from fivefold.config.loading import parse_params
from fivefold.errors import ParamsError

from .example import changed

PERCENTILE = {"method": "percentile", "score": "f", "percent": 50}

BAD = [
    ({**PERCENTILE, "percent": 0}, "percent must be greater than 0, but is 0; change it"),
    ({**PERCENTILE, "percent": 101}, "percent must be less than or equal to 100, but is 101; change it"),
    ({**PERCENTILE, "score": "r2"}, "score must be 'chi2', 'f' or 'mutual_info', but is 'r2'; change it"),
    ({**PERCENTILE, "stability_resamples": -1}, "stability must be greater than or equal to 0, but is -1; change it"),
    ({"method": "variance", "threshold": -0.1}, "threshold must be greater than or equal to 0, but is -0.1; change it"),
    ({"method": "variance"}, "threshold is required, but is missing; add it"),
    ({"method": "l1", "alpha": 0}, "strength must be greater than 0, but is 0; change it"),
    ({"method": "l1", "alpha": 0.1, "k": -1}, "k must be greater than or equal to 0, but is -1; change it"),
    ({"method": "rfe", "k": 0}, "k must be greater than 0, but is 0; change it"),
    ({"method": "rfe", "k": 3, "step": 1}, "step must be less than 1, but is 1; change it"),
    ({"method": "rfe", "k": 3, "steps": 0.1}, "steps is not a known key, but holds 0.1; did you mean 'step'?"),
    (
        {"method": "lasso"},
        "method must be one of 'none', 'k_best', 'percentile', 'variance', 'l1', 'rfe', 'pca', 'autoencoder', but",
    ),
]


@pytest.mark.parametrize(("block", "line"), BAD)
def test_a_bad_value_is_named(block: dict[str, Any], line: str) -> None:
    with pytest.raises(ParamsError, match=rf"\Aparams\.yaml: models\.flat\.select\.{re.escape(line)}[^\n]*\Z"):
        parse_params(changed("models.flat.select", block))


@pytest.mark.parametrize(
    "block",
    [{"method": "k_best", "score": "chi2", "k": 2}, {**PERCENTILE, "score": "chi2"}],
    ids=lambda block: block["method"],
)
def test_chi2_compares_classes(block: dict[str, Any]) -> None:
    parse_params(changed("models.flat.select", block))
    line = "models.line.select.score_func: chi2 compares classes, but the task is regression; choose f or mutual_info"
    with pytest.raises(ParamsError, match=re.escape(line)):
        parse_params(changed("models.line.select", block))


SERIES = {
    "kind": "series", "source": "s.csv", "task": "forecasting", "time": "t", "targets": ["a"], "window": 8,
    "split": {"by": "time", "validation": 9, "test": 9}, "normalize": "standard",
}  # fmt: skip
TEXT = {
    "kind": "text", "source": "t.csv", "task": "classification", "target": "y", "length": 8,
    "split": {"by": "random", "validation": 9, "test": 9},
}  # fmt: skip


def selecting(dataset: dict[str, Any], network: dict[str, Any], **training: Any) -> dict[str, Any]:
    """The example with a model that selects half of the features of another dataset."""
    tree = changed("datasets.more", dataset)
    tree["models"]["more"] = {
        "dataset": "more",
        "depends_on": "none",
        "select": PERCENTILE,
        "network": network,
        "training": training,
    }
    return tree


def test_steps_of_a_series_are_selected_for_an_mlp_and_for_no_other_network() -> None:
    parse_params(selecting(SERIES, {"family": "mlp"}, base="last"))
    for network in ({"family": "rnn"}, {"family": "cnn", "architecture": "tcn"}):
        with pytest.raises(
            ParamsError, match=r"models\.more\.network\..* select\.method is percentile; choose family mlp"
        ):
            parse_params(selecting(SERIES, network))


def test_tokens_of_a_text_cannot_be_selected() -> None:
    line = (
        "models.more.select.method: tokens of a text are in order and cannot be selected; choose select {method: none}"
    )
    with pytest.raises(ParamsError, match=re.escape(line)):
        parse_params(selecting(TEXT, {"family": "mlp"}))


def test_what_is_selected_of_a_window_cannot_be_altered_as_one() -> None:
    line = (
        "models.more.training.augment.jitter: it alters whole images or windows, but select.method is percentile;"
        " choose select {method: none}, or leave it out"
    )
    with pytest.raises(ParamsError, match=re.escape(line)):
        parse_params(selecting(SERIES, {"family": "mlp"}, augment={"jitter": 0.1}))


@pytest.mark.parametrize("block", [PERCENTILE, {"method": "variance", "threshold": 0}, {"method": "rfe", "k": 3}])
def test_cnn_takes_no_selection(block: dict[str, Any]) -> None:
    with pytest.raises(
        ParamsError, match=rf"stack needs whole images, .* and select\.method is {block['method']}; choose"
    ):
        parse_params(changed("models.wide.select", block))
