"""Heavy packages are imported by few modules, since every stage pays for its imports on each run."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIG_MODULES = sorted(path.stem for path in (ROOT / "src/fivefold/config").glob("[!_]*.py"))
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "pipeline").rglob("*.py")])

LIGHTNING = {"pytorch_lightning", "lightning", "lightning_fabric"}
TORCH = {"torch", "torchmetrics", *LIGHTNING}
HEAVY = {*TORCH, "mlflow", "pandas", "sklearn", "scipy", "numpy", "matplotlib", "onnx", "onnxruntime", "dvc", "rich"}


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    # without DVC_STAGE, since a stage started by DVC ends with it: see pipeline/__init__.py
    env = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=True)


@cache
def loaded(modules: str) -> frozenset[str]:
    """Return the packages loaded in a new interpreter after importing `modules`."""
    process = python("-c", f"import json, sys, {modules}; print(json.dumps(list(sys.modules)))")
    return frozenset(name.partition(".")[0] for name in json.loads(process.stdout))


def test_every_module_of_config_is_found() -> None:
    assert {"base", "datasets", "loading", "models", "schema", "selection", "training"} <= set(CONFIG_MODULES)


def test_config_imports_nothing_heavy() -> None:
    packages = loaded(", ".join(f"fivefold.config.{module}" for module in CONFIG_MODULES))
    assert "fivefold" in packages
    assert packages & HEAVY == set()


def test_importtime_confirms_that_config_is_light() -> None:
    report = python("-X", "importtime", "-c", "import fivefold.config.loading").stderr
    names = [line.rpartition("|")[2].strip() for line in report.splitlines() if line.startswith("import time:")]
    assert "fivefold.config.loading" in names
    assert [name for name in names if name.partition(".")[0] in HEAVY] == []


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("pipeline.prepare", {*TORCH, "mlflow", "onnx", "onnxruntime", "matplotlib"}),
        ("pipeline.select_features", {*TORCH, "mlflow", "onnx", "onnxruntime"}),
        ("pipeline.train", {"mlflow", "onnx", "onnxruntime"}),
        ("pipeline.evaluate", {*LIGHTNING, "mlflow", "onnx", "onnxruntime"}),
        ("pipeline.export", {*LIGHTNING, "mlflow"}),
    ],
)
def test_stage_imports_only_what_it_needs(module: str, forbidden: set[str]) -> None:
    packages = loaded(module)
    assert {"fivefold", "pipeline", "numpy"} <= packages
    assert packages & forbidden == set()


def test_only_the_background_process_imports_mlflow() -> None:
    packages = loaded("fivefold.tracking.shipper")
    assert "mlflow" in packages
    assert packages & TORCH == set()


def test_train_imports_lightning() -> None:
    assert "pytorch_lightning" in loaded("pipeline.train")


PICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "skops"}
UNPICKLING = {("torch", "load"), ("torch", "save"), ("pd", "read_pickle"), ("onnx", "load_pickle")}


def pickling(source: str) -> Iterator[str]:
    """Yield the imports and calls of a module that pickle or may unpickle."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name.partition(".")[0] in PICKLERS)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in PICKLERS:
                yield module
            case ast.Attribute(value=ast.Name(id=package), attr=name) if (package, name) in UNPICKLING:
                yield f"{package}.{name}"
            case ast.Attribute(attr="to_pickle"):
                yield "to_pickle"
            case ast.keyword(arg="allow_pickle", value=value) if not _is_false(value):
                yield "allow_pickle"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="save" | "load" as name), keywords=keywords):
                if "allow_pickle" not in {keyword.arg for keyword in keywords}:
                    yield f"np.{name} without allow_pickle=False"


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.externals",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "np.save(path, x)",
        "torch.load(path)",
        "frame.to_pickle(path)",
    ],
)
def test_pickling_is_detected(line: str) -> None:
    assert list(pickling(line))


@pytest.mark.parametrize("line", ["np.load(path, allow_pickle=False)", "from safetensors.torch import load"])
def test_other_serialization_is_not_reported(line: str) -> None:
    assert list(pickling(line)) == []


def test_no_source_pickles_or_uses_autolog() -> None:
    assert len(SOURCES) > 60
    assert ROOT / "pipeline/train.py" in SOURCES
    texts = {path.relative_to(ROOT).as_posix(): path.read_text() for path in SOURCES}
    assert {name: list(pickling(text)) for name, text in texts.items() if list(pickling(text))} == {}
    assert [name for name, text in texts.items() if "autolog" in text] == []
