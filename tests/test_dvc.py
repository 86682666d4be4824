"""dvc.yaml lists the code that stages import, the folders they write to and the plots of every model."""

import ast
import importlib.util
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from fivefold import paths
from fivefold.config.loading import load_params, parse_params, read_yaml
from fivefold.dvc import CHECK, ROOT, STAGES, examples, plots, wired

DVC = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]

NO_RESULT = ("errors", "paths", "stages", "tracking")
"""Modules and packages of fivefold that a stage imports and that cannot change a result."""


def imported(module: str, seen: set[str] | None = None) -> set[str]:
    """Return the files that `module` imports, directly or not, except for those in NO_RESULT."""
    found: set[str] = set() if seen is None else seen
    base = ROOT / ("src" if module.startswith("fivefold") else "") / module.replace(".", "/")
    path = next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)
    if path is None or module == "fivefold" or module.split(".")[1:2] in [[name] for name in NO_RESULT]:
        return found
    name = path.relative_to(ROOT).as_posix()
    if name in found:
        return found
    found.add(name)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            for target in (origin, *(f"{origin}.{alias.name}" for alias in node.names)):
                imported(target, found)
    return found


def test_there_are_five_stages_and_a_check_before_them() -> None:
    assert tuple(DVC) == (CHECK, *STAGES)
    assert {path.stem for path in (ROOT / "pipeline").glob("*.py")} == {"__init__", CHECK, *STAGES}
    assert all("data/checked.txt" in DVC[stage]["do"]["deps"] for stage in ("prepare", "select_features"))


def test_no_shell_stands_between_dvc_and_a_stage() -> None:
    commands = [DVC[CHECK]["cmd"], *(DVC[stage]["do"]["cmd"] for stage in STAGES)]
    assert [command for command in commands if not command.startswith("exec python -m pipeline.")] == []


def test_the_check_depends_on_params_and_every_source() -> None:
    sources = {dataset.source for dataset in load_params(ROOT / "params.yaml").datasets.values()}
    listed = [dep for dep in DVC[CHECK]["deps"] if not dep.startswith(("src/", "pipeline/"))]
    assert listed == ["params.yaml", *sorted(sources)]


@pytest.mark.parametrize("stage", [CHECK, *STAGES])
def test_the_code_dependencies_cover_what_the_stage_imports(stage: str) -> None:
    block = DVC[stage] if stage == CHECK else DVC[stage]["do"]
    listed = [dep for dep in block["deps"] if dep.startswith(("src/", "pipeline/"))]
    assert [dep for dep in listed if not (ROOT / dep).exists()] == []
    files = imported(f"pipeline.{stage}")
    assert len(files) > 5
    assert [file for file in files if not any(file == dep or file.startswith(f"{dep}/") for dep in listed)] == []
    assert [dep for dep in listed if not any(file == dep or file.startswith(f"{dep}/") for file in files)] == []


@pytest.mark.parametrize("folder", [ROOT, *(path.parent for path in examples(ROOT))], ids=lambda path: path.name)
def test_writing_the_wiring_again_changes_nothing(folder: Path) -> None:
    params = load_params(folder / "params.yaml")
    assert wired(folder / "dvc.yaml", ROOT, params) == (folder / "dvc.yaml").read_text(), "run `make wire`"


def test_an_example_finds_the_code_of_the_project() -> None:
    assert {path.parent.name for path in examples(ROOT)} >= {"fashion_mnist", "language", "reviews"}
    for path in examples(ROOT):
        stages = YAML(typ="safe").load(path.with_name("dvc.yaml"))["stages"]
        deps = [dep for stage in STAGES for dep in stages[stage]["do"]["deps"] if dep.startswith("..")]
        assert len(deps) > 10
        assert [d for d in deps if "$" not in d and not (path.parent / d).exists()] == []


def test_outputs_lie_where_paths_says() -> None:
    written = {stage: paths_of(stage) for stage in STAGES}
    assert written["prepare"] == {str(paths.prepared_dir("${key}"))}
    assert written["select_features"] == {str(paths.selected_dir("${key}"))}
    assert {Path(path).parent for path in written["train"] | written["export"]} == {paths.model_dir("${key}")}
    assert {Path(path).parent for path in written["evaluate"]} == {paths.report_dir("${key}")}


def paths_of(stage: str) -> set[str]:
    block = DVC[stage]["do"]
    entries = [*block["outs"], *block.get("metrics", ()), *block.get("plots", ())]
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}


def test_every_model_is_plotted_with_the_plots_of_its_task() -> None:
    params = load_params(ROOT / "params.yaml")
    drawn = {title: block["y"] for entry in plots(params) for title, block in entry.items()}
    assert set(drawn["learning curves"]) == {f"reports/{name}/tables/learning_curve.csv" for name in params.models}
    assert drawn["confusion"].keys() >= {"reports/mlp/tables/confusion.csv", "reports/cnn/tables/confusion.csv"}
    assert drawn["predicted and actual"].keys() >= {"reports/mlp_regression/tables/predicted.csv"}
    assert drawn["forecast"].keys() == {"reports/lstm/tables/forecast.csv"}
    assert not drawn["predicted and actual"].keys() & drawn["confusion"].keys()


@pytest.mark.parametrize(
    ("family", "losses"),
    [("gan", ["discriminator", "generator"]), ("cyclegan", ["generator", "discriminator_a", "discriminator_b"])],
)
def test_a_model_that_makes_records_is_plotted_by_its_losses_and_not_as_one_that_tells_its_dataset_s_target(
    family: str, losses: list[str]
) -> None:
    tree = read_yaml(ROOT / "params.yaml")
    chosen = {"network": {"family": family}, "training": {"schedule": {"name": "constant"}}}
    tree["models"]["maker"] = {"dataset": "digits", "depends_on": "none", "select": {"method": "none"}, **chosen}
    drawn = {title: block["y"] for entry in plots(parse_params(tree)) for title, block in entry.items()}
    assert drawn["learning curves"]["reports/maker/tables/learning_curve.csv"] == losses
    assert [title for title, tables in drawn.items() if any("/maker/" in name for name in tables)] == [
        "learning curves"
    ]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_short(stage: str) -> None:
    assert len((ROOT / f"pipeline/{stage}.py").read_text().splitlines()) <= 60
