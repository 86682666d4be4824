"""What DVC cannot express and `fivefold wire` writes into dvc.yaml: plots per model, and the dvc.yaml of each example.

DVC cannot repeat a plot for each model, so models are listed. An example has the stages of the project, with paths that
lead to its code.
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
"""What an autoencoder tells, whatever the task of its dataset."""

PLOTS = (
    # title, table, tasks (none: any), x, y, template: one of DVC's, or .dvc/plots/<template>.json
    ("learning curves", "learning_curve", (), "epoch", ["train", "val"], "linear"),
    ("confusion", "confusion", ("classification",), "actual", "predicted", "confusion"),
    ("ROC", "roc", ("classification",), "false_positive_rate", "true_positive_rate", "by_class"),
    ("calibration", "calibration", ("classification",), "confidence", "accuracy", "scatter"),
    ("forecast", "forecast", ("forecasting",), "step", ["actual", "predicted"], "linear"),
    ("predicted and actual", "predicted", ("regression", "forecasting"), "actual", "predicted", "scatter"),
    ("rate and distortion", "compression", (RECORDS,), "rate", ["autoencoder", "pca"], "linear"),
)


LOSSES = {"gan": ["discriminator", "generator"], "cyclegan": ["generator", "discriminator_a", "discriminator_b"]}
"""Columns of `learning_curve` by family; of others those in `PLOTS`."""


def plots(params: Params, up: str = "") -> list[dict[str, Any]]:
    """Return DVC's interactive plots: a table of every model of the right task, drawn together."""
    own = {path.stem: f"{up}.dvc/plots/{path.name}" for path in (ROOT / ".dvc/plots").glob("*.json")}
    drawn = []
    for title, table, tasks, x, y, template in PLOTS:
        models = [name for name in params.models if not tasks or _task(params, name) in tasks]
        # a list for each file: YAML would write one list that stands twice as an alias
        files = {f"{paths.report_dir(name)}/tables/{table}.csv": _columns(params, name, y) for name in models}
        if files:
            drawn.append({title: {"template": own.get(template, template), "x": x, "y": files}})
    return drawn


def _task(params: Params, name: str) -> str:
    """Return what a model is for: the task of its dataset, or telling records, or making them."""
    model = params.models[name]
    own = {"autoencoder": RECORDS, "gan": "samples", "cyclegan": "translations"}
    return own.get(model.network.family, params.datasets[model.dataset].task)


def _columns(params: Params, name: str, y: str | list[str]) -> str | list[str]:
    """Return what is drawn of a model's table."""
    own = LOSSES.get(params.models[name].network.family, y) if isinstance(y, list) else y
    return own.copy() if isinstance(own, list) else own


def wire(folder: Path) -> None:
    """Write dvc.yaml of the project in `folder`, and of each of its examples."""
    every = (folder / paths.DVC_YAML, *(p.with_name(paths.DVC_YAML.name) for p in examples(folder)))
    texts = {path: wired(path, folder, load_params(path.with_name(paths.PARAMS.name))) for path in every}
    for path, text in texts.items():
        path.write_text(text)


def examples(folder: Path) -> list[Path]:
    """Return the params.yaml of each example of the project in `folder`."""
    return sorted((folder / "examples").glob(f"*/{paths.PARAMS}"))


def wired(path: Path, folder: Path, params: Params) -> str:
    """Return dvc.yaml at `path`, dependencies and plots as `params` asks for; all else in it, comments too, stays.

    An example has the stages of the project in `folder`, and finds code there; to DVC it is a repository of its own, so
    that `dvc status` of the project does not ask for it.
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
    sources = sorted({dataset.source for dataset in params.datasets.values()})
    deps[:] = [str(paths.PARAMS), *sources, *(dep for dep in deps if dep.startswith(tuple(up + each for each in CODE)))]
    tree["plots"] = plots(params, up)
    text = StringIO()
    yaml.dump(tree, text)
    return text.getvalue()
