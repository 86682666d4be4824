"""Generated parts of dvc.yaml, written by `fivefold dvc-update`: plots per model, and the dvc.yaml of each example.

DVC has no templates for plots, so they are listed by model. An example has the stages of the project, with relative
paths to its code.
"""

from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from . import paths
from .config.loading import load_params
from .config.schema import Params

ROOT = Path(__file__).parents[2]
CHECK = "check"
CODE = ("pipeline/", "src/")
STAGES = ("prepare", "select_features", "train", "evaluate", "export")

RECORDS = "records"
"""Task of an autoencoder, independent of the task of its dataset."""

PLOTS = (
    # title, table, tasks (none: any), x, y, template: one of DVC's, or .dvc/plots/<template>.json
    ("learning curves", "learning_curve", (), "epoch", ["train", "val"], "linear"),
    ("confusion matrix", "confusion_matrix", ("classification",), "actual", "predicted", "confusion"),
    ("ROC curve", "roc_curve", ("classification",), "false_positive_rate", "true_positive_rate", "by_class"),
    ("calibration curve", "calibration_curve", ("classification",), "confidence", "accuracy", "scatter"),
    ("forecast", "forecast", ("forecasting",), "step", ["actual", "predicted"], "linear"),
    ("predicted vs actual", "predicted_vs_actual", ("regression", "forecasting"), "actual", "predicted", "scatter"),
    ("rate-distortion curve", "rate_distortion", (RECORDS,), "rate", ["autoencoder", "pca"], "linear"),
)

LOSSES = {"gan": ["discriminator", "generator"], "cyclegan": ["generator", "discriminator_a", "discriminator_b"]}
"""Columns of `learning_curve` by family; default: those in `PLOTS`."""


def plots(params: Params, up: str = "") -> list[dict[str, Any]]:
    """Return the `plots` section of dvc.yaml: each plot combines the tables of all models of its tasks."""
    templates = {path.stem: f"{up}.dvc/plots/{path.name}" for path in (ROOT / ".dvc/plots").glob("*.json")}
    entries = []
    for title, table, tasks, x, y, template in PLOTS:
        models = [name for name in params.models if not tasks or _task(params, name) in tasks]
        # a new list per file: ruamel would write a shared list as an alias
        files = {f"{paths.report_dir(name)}/tables/{table}.csv": _columns(params, name, y) for name in models}
        if files:
            entries.append({title: {"template": templates.get(template, template), "x": x, "y": files}})
    return entries


def _task(params: Params, name: str) -> str:
    """Return the task of a model: that of its dataset, or that of its family if it has no supervised target."""
    model = params.models[name]
    tasks = {"autoencoder": RECORDS, "gan": "samples", "cyclegan": "translations"}
    return tasks.get(model.network.family, params.datasets[model.dataset].task)


def _columns(params: Params, name: str, y: str | list[str]) -> str | list[str]:
    """Return the columns of a model's table to plot."""
    if not isinstance(y, list):
        return y
    return LOSSES.get(params.models[name].network.family, y).copy()


def write_dvc_yaml(folder: Path) -> None:
    """Write dvc.yaml of the project in `folder` and of its examples."""
    files = (folder / paths.DVC_YAML, *(p.with_name(paths.DVC_YAML.name) for p in examples(folder)))
    texts = {path: render_dvc_yaml(path, folder, load_params(path.with_name(paths.PARAMS.name))) for path in files}
    for path, text in texts.items():
        path.write_text(text)


def examples(folder: Path) -> list[Path]:
    """Return the params.yaml files of the examples of the project in `folder`."""
    return sorted((folder / "examples").glob(f"*/{paths.PARAMS}"))


def render_dvc_yaml(path: Path, folder: Path, params: Params) -> str:
    """Return the text of the dvc.yaml at `path`, with sources and plots updated for `params`.

    Everything else, including comments, is that of the dvc.yaml of the project in `folder`. An example is a DVC
    repository of its own, so that `dvc status` of the project does not include it.
    """
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(folder / paths.DVC_YAML)
    up = "../" * len(path.parent.relative_to(folder).parts)
    for block in (tree["stages"][CHECK], *(tree["stages"][stage]["do"] for stage in STAGES)):
        block["deps"][:] = [up + dep if dep.startswith(CODE) else dep for dep in block["deps"]]
        if up:
            block["cmd"] = block["cmd"].replace("exec python", f"exec env PYTHONPATH={up[:-1]} python")
    deps = tree["stages"][CHECK]["deps"]
    code = [dep for dep in deps if dep.startswith(tuple(up + prefix for prefix in CODE))]
    sources = sorted({dataset.source for dataset in params.datasets.values()})
    deps[:] = [str(paths.PARAMS), *sources, *code]
    tree["plots"] = plots(params, up)
    text = StringIO()
    yaml.dump(tree, text)
    return text.getvalue()
