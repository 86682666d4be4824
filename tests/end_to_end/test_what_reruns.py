"""Changing one thing marks exactly the stages that it touches, as `dvc status` says."""

from collections.abc import Iterator

import pytest

from fivefold.config.loading import load_params

from .project import ROOT, Project

PARAMS = load_params(ROOT / "params.yaml")
DATASETS, MODELS = tuple(PARAMS.datasets), tuple(PARAMS.models)


def stages(stage: str, names: tuple[str, ...] = MODELS) -> set[str]:
    return {f"{stage}@{name}" for name in names}


EVERY = stages("prepare", DATASETS).union(*map(stages, ("select_features", "train", "evaluate", "export")))


@pytest.fixture(scope="module", autouse=True)
def left_as_it_was(finished: Project) -> Iterator[None]:
    yield
    assert not finished.status()


@pytest.fixture
def project(finished: Project) -> Iterator[Project]:
    """What a test forgets to put back the next one is told of."""
    yield finished
    finished.run("git", "checkout", "--", "params.yaml", "src", "pipeline", "data/raw")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("seed", 7, stages("prepare", DATASETS) | stages("select_features") | stages("train")),
        ("training.max_epochs", 3, stages("train")),
        ("models.mlp.training.optimizer.lr", 0.001, {"train@mlp"}),
        ("models.cnn.network.dropout", 0.4, {"train@cnn"}),
        ("models.mlp.select.k", 10, {"select_features@mlp"}),
        ("datasets.digits.normalize", "standard", {"prepare@digits"}),
        ("datasets.concrete.split.test", 0.2, {"prepare@concrete"}),
        ("datasets.sunspots.window", 11, {"prepare@sunspots"}),
        ("models.lstm.network.cell", "gru", {"train@lstm"}),
    ],
)
def test_a_changed_key(project: Project, key: str, value: object, expected: set[str]) -> None:
    project.change(key, value)
    assert project.status() == expected | {"check"}  # which reads the whole of params.yaml, and passes nothing on


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("src/fivefold/data/readers/table.py", EVERY),
        ("src/fivefold/preprocessing/selection.py", EVERY),
        ("src/fivefold/training/optimization.py", stages("train")),
        ("src/fivefold/models/cnn/network.py", stages("train") | stages("evaluate") | stages("export")),
        ("src/fivefold/evaluation/metrics.py", stages("evaluate")),
        ("src/fivefold/export.py", stages("export")),
        ("src/fivefold/tracking/shipper.py", set()),
        ("src/fivefold/cli/main.py", set()),
        ("README.md", set()),
        ("src/fivefold/data/source.py", EVERY | {"check"}),
        ("data/raw/concrete.csv", {"prepare@concrete", "check"}),
    ],
)
def test_a_changed_file(project: Project, file: str, expected: set[str]) -> None:
    path = project.folder / file
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    try:
        assert project.status() == expected
    finally:
        path.write_bytes(before)
