"""A model that does not learn down one loss has no learning rate to suggest."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from fivefold.config.loading import read_yaml
from fivefold.errors import ParamsError
from fivefold.lr_finder.find import find_lr

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("family", ["gan", "cyclegan"])
def test_players_of_a_contest_are_refused(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = read_yaml(ROOT / "params.yaml")
    maker = {"dataset": "digits", "depends_on": "none", "select": {"method": "none"}, "network": {"family": family}}
    tree["models"]["maker"] = {**maker, "training": {"schedule": {"name": "constant"}}}
    with (tmp_path / "params.yaml").open("w") as file:
        YAML().dump(tree, file)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ParamsError,
        match=rf"\Afivefold lr follows one loss, but models.maker is a {family}, whose players have one each; try",
    ):
        next(find_lr("maker"))
