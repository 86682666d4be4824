"""Results of the pipeline on the console: the main test metric of every model, and commands to continue with."""

import json

from . import paths
from .config.schema import Params

NOT_EVALUATED = "not evaluated"


def format_results(params: Params) -> list[str]:
    """Return the lines of a table with model, dataset and main test metric, the first one in metrics.json.

    Reads reports/<model>/metrics.json of every model in `params`; models without that file are listed as not evaluated.
    """
    rows = [("model", "dataset", "main test metric")]
    for name, model in params.models.items():
        path = paths.report_dir(name) / "metrics.json"
        scores = json.loads(path.read_text())["test"] if path.exists() else {}
        metric, value = next(iter(scores.items()), (NOT_EVALUATED, None))
        rows.append((name, model.dataset, metric if value is None else f"{metric} {value:.4f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def next_commands(params: Params) -> list[str]:
    """Return three commands to continue with after the pipeline has run."""
    searched = next((name for name, model in params.models.items() if model.search), None)
    commands = {"fivefold ui": "browse runs, metrics and registered models in MLflow"}
    if searched:
        commands[f"fivefold study run {searched}"] = "search hyperparameters"
    else:
        commands[f"fivefold cv {next(iter(params.models), 'MODEL')}"] = "cross-validate a model"
    commands["fivefold add FILE"] = "add your own data and a model for it"
    width = max(map(len, commands))
    return [f"{command:<{width}}  # {purpose}" for command, purpose in commands.items()]
