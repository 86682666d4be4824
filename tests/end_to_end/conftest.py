import shutil
from pathlib import Path

import pytest

from .project import Project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The default project after one `dvc repro` of all its stages. Tests leave it as they find it."""
    project = Project(tmp_path_factory.mktemp("finished") / "fivefold")
    project.run("dvc", "repro")
    return project


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What `small` is a copy of."""
    project = Project(tmp_path_factory.mktemp("prepared") / "fivefold")
    project.keep_only("breast_cancer", "mlp")
    project.change("models.mlp.training.max_epochs", 300)
    project.change("training.checkpoint_seconds", 0)
    project.run("dvc", "repro", "select_features@mlp")
    return project


@pytest.fixture
def small(prepared: Project, tmp_path: Path) -> Project:
    """A project of one dataset and one model, prepared and selected, whose training takes some seconds."""
    shutil.copytree(prepared.folder, tmp_path / "fivefold", symlinks=True)
    return Project(tmp_path / "fivefold")
