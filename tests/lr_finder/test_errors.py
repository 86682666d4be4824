"""Adversarial models have no single loss and no suggested learning rate."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from fivefold.config.loading import read_yaml
from fivefold.errors import ParamsError
from fivefold.lr_finder.find import find_lr

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("family", ["gan", "cyclegan"])
def test_adversarial_models_raise(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = read_yaml(ROOT / "params.yaml")
    generator = {"dataset": "digits", "depends_on": "none", "select": {"method": "none"}, "network": {"family": family}}
    tree["models"]["generator"] = {**generator, "training": {"schedule": {"name": "constant"}}}
    with (tmp_path / "params.yaml").open("w") as file:
        YAML().dump(tree, file)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ParamsError,
        match=rf"\Afivefold lr-find needs a single training loss, but models\.generator is a {family}, whose generator",
    ):
        next(find_lr("generator"))
