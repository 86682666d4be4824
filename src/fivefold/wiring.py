"""What dvc.yaml must say and DVC cannot work out: `make wire` writes it, a test holds it there.

Code dependencies: what each stage imports, read from the source. A package whose `__init__.py` holds only a docstring
computes nothing and is no dependency. A module found by a family's name stands for that family's folder:
`${item.network.family}` in dvc.yaml. Plots: DVC cannot repeat a plot for each model, so models are listed.
"""

import ast
from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from . import paths
from .params.load import load_params
from .params.root import Params

ROOT = Path(__file__).parents[2]
CHECK = "check"
STAGES = ("prepare", "select_features", "train", "evaluate", "export")
FAMILY = "${item.network.family}"
FAMILIES = sorted(path.parent.name for path in (ROOT / "src/fivefold/families").glob("*/params.py"))

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


LOSSES = {"gan": ["critic", "generator"], "cyclegan": ["generator", "critic_first", "critic_second"]}
"""Columns of `learning_curve` by family; of others those in `PLOTS`."""


@cache
def imported(stage: str) -> frozenset[str]:
    """Return the files that `pipeline/<stage>.py` imports, itself included, relative to the root."""
    found: set[str] = set()
    waiting = ["pipeline", f"pipeline.{stage}"]
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path is None or path in found:
            continue
        found.add(path)
        parents = [name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1)]
        waiting += [*parents, *_imports(name, ROOT / path)]
    return frozenset(path for path in found if not _only_docstring(ROOT / path))


def code_deps(stage: str) -> list[str]:
    """Return what dvc.yaml must list: files, a folder where all of its files are imported, families by placeholder."""
    files = {_placeholder(file) for file in imported(stage)}
    sources = (ROOT / "src/fivefold").rglob("*.py")
    every = {_placeholder(f.relative_to(ROOT).as_posix()) for f in sources if not _only_docstring(f)}
    for folder in sorted({Path(file).parent.as_posix() for file in files if file.startswith("src/fivefold/")}):
        inside = {file for file in every if file.startswith(f"{folder}/")}
        if len(inside) > 1 and inside <= files and not any(FAMILY in file for file in inside):
            files = (files - inside) | {folder}
    return sorted(files)


def _placeholder(file: str) -> str:
    parts = file.split("/")
    by_family = len(parts) == 5 and parts[2] == "families" and parts[4] != "params.py"
    return "/".join([*parts[:3], FAMILY]) if by_family else file


def _file(name: str) -> str | None:
    base = ROOT / ("src" if name.startswith("fivefold") else "") / name.replace(".", "/")
    candidates = (base / "__init__.py", base.with_suffix(".py"))
    return next((path.relative_to(ROOT).as_posix() for path in candidates if path.is_file()), None)


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _imports(name: str, path: Path) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(_parsed(path)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                above = package.split(".")[: package.count(".") + 2 - level] if level else []
                base = ".".join([*above, *([module] if module else [])])
                yield base
                yield from (f"{base}.{alias.name}" for alias in names)
            case ast.Call(func=ast.Name(id="import_module"), args=[ast.JoinedStr(values=values)]):
                text = "".join(str(v.value) if isinstance(v, ast.Constant) else "*" for v in values)
                yield from (text.replace("*", family) for family in FAMILIES)


def _only_docstring(path: Path) -> bool:
    return path.name == "__init__.py" and all(
        isinstance(node, ast.Expr | ast.Assign) and isinstance(node.value, ast.Constant) for node in _parsed(path).body
    )


def plots(params: Params, up: str = "") -> list[dict[str, Any]]:
    """Return DVC's interactive plots: a table of every model of the right task, drawn together."""
    own = {path.stem: f"{up}.dvc/plots/{path.name}" for path in (ROOT / ".dvc/plots").glob("*.json")}
    drawn = []
    for title, table, tasks, x, y, template in PLOTS:
        models = [name for name in params.models if not tasks or _task(params, name) in tasks]
        # a list for each file: YAML would write one list that stands twice as an alias
        files = {f"{paths.report(name)}/tables/{table}.csv": _columns(params, name, y) for name in models}
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
    for stage in STAGES:
        deps = tree["stages"][stage]["do"]["deps"]
        data = [dep for dep in deps if not dep.startswith(("src/", "pipeline/"))]
        deps[:] = [*data, *(up + dep for dep in code_deps(stage))]
    sources = sorted({dataset.source for dataset in params.datasets.values()})
    tree["stages"][CHECK]["deps"][:] = [str(paths.PARAMS), *sources, *(up + dep for dep in code_deps(CHECK))]
    tree["plots"] = plots(params, up)
    if up:
        for block in (tree["stages"][CHECK], *(tree["stages"][stage]["do"] for stage in STAGES)):
            block["cmd"] = block["cmd"].replace("exec python", f"exec env PYTHONPATH={up[:-1]} python")
    text = StringIO()
    yaml.dump(tree, text)
    return text.getvalue()
