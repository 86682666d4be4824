"""Blocks are inserted into params.yaml without changing existing lines."""

from pathlib import Path

import pytest

from fivefold.autoconfig.write import insert_blocks, render_diff
from fivefold.config.loading import load_params
from fivefold.errors import ParamsError

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "params.yaml").read_text()

DATASET = {
    "kind": "table",
    "source": "data/raw/mine.csv",
    "task": "classification",
    "target": "no: 1",
    "split": {"by": "stratified", "validation": 0.2, "test": 0.2},
    "normalize": "standard",
}
MODEL = {
    "dataset": "mine",
    "depends_on": "none",
    "select": {"method": "none"},
    "network": {"family": "mlp", "hidden": [8], "dropout": 0.1},
    "training": {"max_epochs": 3, "optimizer": {"name": "adamw", "lr": 0.01}},
}


def test_existing_lines_keep_their_order() -> None:
    after, _ = insert_blocks(TEXT, "mine", DATASET, MODEL)
    assert not [line for line in render_diff(TEXT, after).splitlines()[2:] if line.startswith("-")]
    assert after.endswith("optimizer: {name: adamw, lr: 0.01}\n")
    assert after.index("mine:\n    kind") < after.index("\nmodels:\n")


def test_inserted_blocks_are_parsed_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(insert_blocks(TEXT, "mine", DATASET, MODEL)[0])
    params = load_params(path)
    assert list(params.datasets)[-1] == "mine"
    assert params.datasets["mine"].model_dump(mode="json", exclude_unset=True) == DATASET
    assert params.models["mine"].network.model_dump(exclude_unset=True) == {**MODEL["network"], "hidden": (8,)}
    assert params.models["mine"].training.batch_size == params.training.batch_size


def test_a_missing_final_newline_is_added() -> None:
    assert insert_blocks(TEXT.rstrip("\n"), "mine", DATASET, MODEL) == insert_blocks(TEXT, "mine", DATASET, MODEL)


@pytest.mark.parametrize("name", ["mlp", "concrete"])
def test_an_existing_name_raises(name: str) -> None:
    with pytest.raises(ParamsError, match=rf"\.{name} must be a new name, but exists in params\.yaml; choose another"):
        insert_blocks(TEXT, name, DATASET, MODEL)


def test_invalid_blocks_raise() -> None:
    with pytest.raises(ParamsError, match=r"models\.mine\.network\.dropout must be less than 1, but is 2"):
        insert_blocks(TEXT, "mine", DATASET, {**MODEL, "network": {"family": "mlp", "dropout": 2}})
