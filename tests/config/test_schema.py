"""Loading of params.yaml: YAML 1.2, merging of `training`, immutability, look-up by name, JSON schema."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.serialize import modify_yaml
from pydantic import ValidationError
from typer.testing import CliRunner

from fivefold.cli.main import app
from fivefold.config.datasets import Table
from fivefold.config.loading import load_params, merge_blocks, parse_params, read_yaml
from fivefold.config.optimizers import Adam, Sgd
from fivefold.config.splits import RandomSplit
from fivefold.errors import ParamsError

from .helpers import TEXT, changed, example

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*/params.yaml"))


def write_params(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text)
    return path


def test_params_of_the_project_load() -> None:
    params = load_params(ROOT / "params.yaml")
    assert {"breast_cancer", "concrete", "digits", "sunspots"} <= set(params.datasets)
    assert {model.network.family for model in params.models.values()} >= {"mlp", "cnn", "rnn"}


def test_params_of_every_example_load() -> None:
    models = {path.parent.name: set(load_params(path).models) for path in EXAMPLES}
    assert models["fashion_mnist"] >= {"tutorial_cnn", "fashion_mlp", "autoencoder_16", "variational"}
    assert models["fashion_mnist_gpu"] == {"fashion_resnet"}
    assert models["ucr"] == {"italy_lstm", "leaf_resnet", "pickup_resnet"}


def test_seed_can_be_zero() -> None:
    assert parse_params(example()).seed == 0


class TestInheritedTraining:
    def test_options_without_override_are_inherited(self) -> None:
        flat = parse_params(example()).models["flat"].training
        assert (flat.max_epochs, flat.batch_size) == (10, 4)

    def test_nested_block_is_merged_by_key(self) -> None:
        assert parse_params(example()).models["flat"].training.optimizer == Adam(
            name="adamw", lr=0.02, weight_decay=0.1
        )

    def test_block_with_another_name_replaces_the_base(self) -> None:
        # the weight decay of adamw must not be inherited by sgd
        assert parse_params(example()).models["line"].training.optimizer == Sgd(name="sgd", lr=0.5, weight_decay=0.0)

    def test_block_with_the_same_name_is_merged(self) -> None:
        tree = changed("models.line.training.optimizer", {"name": "adamw", "lr": 0.5})
        assert parse_params(tree).models["line"].training.optimizer == Adam(name="adamw", lr=0.5, weight_decay=0.1)

    def test_empty_block_equals_the_base(self) -> None:
        params = parse_params(example())
        assert params.models["wide"].training == params.training

    def test_merging_does_not_modify_its_arguments(self) -> None:
        base, override = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}}
        before = copy.deepcopy((base, override))
        assert merge_blocks(base, override) == {"a": {"b": 9, "c": 2}, "d": 3}
        assert (base, override) == before


class TestSplit:
    @pytest.mark.parametrize(("value", "kind"), [(0.2, float), (20, int), (1, int), (0.84, float)])
    def test_size_is_a_fraction_or_a_number_of_rows(self, value: float, kind: type) -> None:
        split = parse_params(changed("datasets.mixes.split.test", value)).datasets["mixes"].split
        assert isinstance(split, RandomSplit)
        assert (split.test, type(split.test)) == (value, kind)

    def test_numbers_of_rows_are_not_added_to_fractions(self) -> None:
        split = {"by": "random", "validation": 0.9, "test": 500}
        assert parse_params(changed("datasets.mixes.split", split)).datasets["mixes"].split.by == "random"


class TestYaml12:
    def test_exponent_without_decimal_point_is_a_number(self) -> None:
        assert parse_params(example()).training.optimizer.lr == 0.001

    def test_yes_is_a_string(self, tmp_path: Path) -> None:
        assert load_params(write_params(tmp_path, TEXT)).datasets["cells"].model_dump()["target"] == "yes"

    @pytest.mark.parametrize("word", ["no", "on", "off", "y", "n"])
    def test_booleans_of_yaml_1_1_are_strings(self, tmp_path: Path, word: str) -> None:
        assert read_yaml(write_params(tmp_path, f"a: {word}")) == {"a": word}

    def test_leading_zero_is_not_octal(self, tmp_path: Path) -> None:
        assert read_yaml(write_params(tmp_path, "a: 010")) == {"a": 10}

    def test_duplicate_key_is_rejected(self, tmp_path: Path) -> None:
        path = write_params(tmp_path, TEXT + "seed: 1\n")
        with pytest.raises(ParamsError, match=r'params\.yaml must be YAML 1\.2 .* duplicate key "seed" with value "1"'):
            load_params(path)


def test_dvc_changes_one_line_when_it_sets_one_number(tmp_path: Path) -> None:
    """`dvc exp run -S` rewrites the file; its formatting is one that DVC preserves."""
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text())
    with modify_yaml(str(path)) as tree:
        tree["models"]["mlp"]["training"]["optimizer"]["lr"] = 0.25
    pairs = zip((ROOT / "params.yaml").read_text().splitlines(), path.read_text().splitlines(), strict=True)
    changed = [after for before, after in pairs if before != after]
    assert changed == ["      optimizer: {name: adamw, lr: 0.25, weight_decay: 0.01}"]


@pytest.mark.parametrize("source", EXAMPLES, ids=lambda path: path.parent.name)
def test_dvc_changes_one_line_of_an_example(tmp_path: Path, source: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(source.read_text())
    with modify_yaml(str(path)) as tree:
        tree["seed"] = 43
    assert path.read_text() == re.sub(r"(?m)^seed: \d+$", "seed: 43", source.read_text())
    assert path.read_text() != source.read_text()


class TestFrozen:
    @pytest.mark.parametrize("dotted", ["seed", "training.max_epochs", "training.optimizer.lr"])
    def test_assignment_raises(self, dotted: str) -> None:
        *above, last = dotted.split(".")
        block: Any = parse_params(example())
        for key in above:
            block = getattr(block, key)
        with pytest.raises(ValidationError, match="frozen"):
            setattr(block, last, 1)

    def test_adding_a_model_raises(self) -> None:
        params = parse_params(example())
        with pytest.raises(TypeError):
            params.models["other"] = params.models["flat"]

    def test_adding_a_check_level_or_a_column_raises(self) -> None:
        cells = parse_params(changed("datasets.cells.columns", {"a": {"type": "date"}})).datasets["cells"]
        assert isinstance(cells, Table)
        with pytest.raises(TypeError):
            cells.columns["b"] = cells.columns["a"]  # type: ignore[index]
        with pytest.raises(TypeError):
            cells.checks["leakage"] = "off"  # type: ignore[index]

    def test_lists_become_tuples(self) -> None:
        assert parse_params(example()).models["flat"].model_dump()["network"]["hidden"] == (8,)


class TestLookUp:
    def test_dataset_by_name(self) -> None:
        params = parse_params(example())
        assert params.dataset("mixes") is params.datasets["mixes"]

    def test_unknown_dataset_lists_the_known_ones(self) -> None:
        with pytest.raises(
            ParamsError,
            match=r"dataset 'nope' is not in params\.yaml, which has cells, mixes, pens; choose one of them",
        ):
            parse_params(example()).dataset("nope")

    def test_unknown_model_lists_the_known_ones(self) -> None:
        with pytest.raises(
            ParamsError, match=r"model 'nope' is not in params\.yaml, which has flat, line, wide; choose one of them"
        ):
            parse_params(example()).model("nope")


class TestJsonSchema:
    @pytest.fixture
    def printed(self) -> str:
        return CliRunner().invoke(app, ["schema"], catch_exceptions=False).stdout

    @pytest.mark.skipif(not (ROOT / "params.schema.json").exists(), reason="`make schema` has not been run")
    def test_file_is_up_to_date(self, printed: str) -> None:
        assert (ROOT / "params.schema.json").read_text() == printed, "run `make schema`"

    def test_every_block_rejects_unknown_keys(self, printed: str) -> None:
        schema = json.loads(printed)
        blocks = {"Params": schema, **schema["$defs"]}
        assert {
            "Training",
            "Table",
            "Images",
            "Sequences",
            "Series",
            "Text",
            "ColumnOptions",
            "Model",
            "Mlp",
            "PlainCnn",
            "Tcn",
        } <= set(blocks)
        assert [name for name, block in blocks.items() if block.get("additionalProperties") is not False] == []

    def test_training_of_a_model_has_no_required_keys(self, printed: str) -> None:
        schema = json.loads(printed)
        blocks = schema["$defs"]
        assert blocks["Model"]["properties"]["training"]["$ref"] == "#/$defs/TrainingOverride"
        assert set(blocks["TrainingOverride"]["properties"]) == set(blocks["Training"]["properties"])
        assert "required" not in json.dumps(blocks["TrainingOverride"])
        optimizers = blocks["TrainingOverride"]["properties"]["optimizer"]["anyOf"]
        assert [block["properties"]["name"] for block in optimizers] == [
            blocks[name]["properties"]["name"] for name in ("Adam", "Sgd", "Rmsprop")
        ]

    def test_schema_contains_every_key_of_the_projects_params(self, printed: str) -> None:
        known = {key for block in json.loads(printed)["$defs"].values() for key in block["properties"]}
        tree = read_yaml(ROOT / "params.yaml")
        used = {
            key
            for block in (tree["training"], *tree["datasets"].values(), *tree["models"].values())
            for key in (*block, *(inner for value in block.values() if isinstance(value, dict) for inner in value))
        }
        assert len(used) > 20
        assert used - known == set()
