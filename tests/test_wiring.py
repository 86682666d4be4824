"""dvc.yaml tells the truth: what stages import, where they write, which models are plotted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from fivefold import paths, wiring
from fivefold.params.load import load_params, parse, read_tree
from fivefold.wiring import CHECK, FAMILIES, FAMILY, ROOT, STAGES, code_deps, examples, imported, plots, wired

DVC = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]

LOADED = """
import importlib, json, sys
stage, name = sys.argv[1:3]
importlib.import_module(f"pipeline.{stage}").main(name)
specs = [getattr(m, "__spec__", None) for m in list(sys.modules.values())]
print("LOADED", json.dumps([s.origin for s in specs if s and s.name.split(".")[0] in ("fivefold", "pipeline")]))
"""


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
    assert [dep for dep in DVC[CHECK]["deps"] if dep.startswith(("src/", "pipeline/"))] == code_deps(CHECK)


@pytest.mark.parametrize("stage", STAGES)
def test_the_code_dependencies_are_what_the_stage_imports(stage: str) -> None:
    listed = [dep for dep in DVC[stage]["do"]["deps"] if dep.startswith(("src/", "pipeline/"))]
    assert listed == code_deps(stage), "run `make wire`"


@pytest.mark.parametrize("folder", [ROOT, *(path.parent for path in examples(ROOT))], ids=lambda path: path.name)
def test_writing_the_wiring_again_changes_nothing(folder: Path) -> None:
    params = load_params(folder / "params.yaml")
    assert wired(folder / "dvc.yaml", ROOT, params) == (folder / "dvc.yaml").read_text(), "run `make wire`"


def test_an_example_finds_the_code_of_the_project() -> None:
    assert {path.parent.name for path in examples(ROOT)} >= {"fashion_mnist", "language", "reviews"}
    for path in examples(ROOT):
        stages = YAML(typ="safe").load(path.with_name("dvc.yaml"))["stages"]
        deps = [dep for stage in STAGES for dep in stages[stage]["do"]["deps"] if dep.startswith("..")]
        assert len(deps) > 100
        assert [d for d in deps if "$" not in d and not (path.parent / d).exists()] == []


def test_the_source_says_what_is_really_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each stage of one small model in this order, and compare its modules with what was read from the source."""
    for folder in ("data/raw", ".fivefold"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("params.yaml", "data/raw/digits.sklearn"):
        (tmp_path / file).write_text((ROOT / file).read_text().replace("max_epochs: 20", "max_epochs: 1"))
    for stage in STAGES:
        done = subprocess.run(
            [sys.executable, "-c", LOADED, stage, "digits" if stage == "prepare" else "cnn"],
            cwd=tmp_path,
            # no PATH: a machine without git runs the stages as well
            env={"PYTHONPATH": f"{ROOT}:{ROOT}/src", "DVC_ROOT": str(tmp_path), "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        line = done.stdout.splitlines()[-1] if done.stdout else ""
        assert line.startswith("LOADED"), done.stderr
        loaded = {Path(file).relative_to(ROOT).as_posix() for file in json.loads(line.removeprefix("LOADED"))}
        with monkeypatch.context() as patch:
            patch.setattr(wiring, "FAMILIES", ["cnn"])  # what only other families import is not read either
            read = imported.__wrapped__(stage)
        assert {file for file in loaded if file in read or not file.endswith("__init__.py")} == read, stage


def test_outputs_lie_where_paths_says() -> None:
    written = {stage: paths_of(stage) for stage in STAGES}
    assert written["prepare"] == {str(paths.prepared("${key}"))}
    assert written["select_features"] == {str(paths.selected("${key}"))}
    assert {Path(path).parent for path in written["train"] | written["export"]} == {paths.model("${key}")}
    assert {Path(path).parent for path in written["evaluate"]} == {paths.report("${key}")}


def paths_of(stage: str) -> set[str]:
    block = DVC[stage]["do"]
    entries = [*block["outs"], *block.get("metrics", ()), *block.get("plots", ())]
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries}


def test_every_family_is_found_and_stands_behind_one_placeholder() -> None:
    assert {"mlp", "cnn", "rnn"} <= set(FAMILIES)
    assert all(f"src/fivefold/families/{FAMILY}" in code_deps(stage) for stage in ("train", "evaluate", "export"))
    assert not any(FAMILY in dep for dep in code_deps("prepare"))


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
    [("gan", ["critic", "generator"]), ("cyclegan", ["generator", "critic_first", "critic_second"])],
)
def test_a_model_that_makes_records_is_plotted_by_its_losses_and_not_as_one_that_tells_its_dataset_s_target(
    family: str, losses: list[str]
) -> None:
    tree = read_tree(ROOT / "params.yaml")
    chosen = {"network": {"family": family}, "training": {"schedule": {"name": "constant"}}}
    tree["models"]["maker"] = {"dataset": "digits", "uses": "none", "select": {"method": "none"}, **chosen}
    drawn = {title: block["y"] for entry in plots(parse(tree)) for title, block in entry.items()}
    assert drawn["learning curves"]["reports/maker/tables/learning_curve.csv"] == losses
    assert [title for title, tables in drawn.items() if any("/maker/" in name for name in tables)] == [
        "learning curves"
    ]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_short(stage: str) -> None:
    assert len((ROOT / f"pipeline/{stage}.py").read_text().splitlines()) <= 60
