"""The values of a trial go into params.yaml: these alone, and they make the model that was tried."""

import difflib
from pathlib import Path

import pytest

from fivefold.cli.study import apply as command
from fivefold.config.loading import load_params
from fivefold.config.search import parse_ranges
from fivefold.errors import FivefoldError, InputError, ParamsError, StudyError
from fivefold.tuning.formatting import format_objective, format_yaml, round_values, shorten_keys
from fivefold.tuning.identity import ABSENT, diff_trees, identity_mismatch_error
from fivefold.tuning.results.apply import apply_trial, write_params

from .example import SGD, TEXT, add, opened, project


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path, monkeypatch)


def lines(before: str, after: str) -> list[str]:
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


def test_the_best_trial_is_written_and_every_other_line_stays() -> None:
    study = opened()
    add(study, [0.8, 0.8, 0.8])
    add(study, [0.9, 0.9, 0.9], {"network.dropout": 0.234567, "training.optimizer.lr": 0.0123456})
    found = apply_trial("net")
    assert lines(found.yaml_before, found.yaml_after) == [
        "-       dropout: 0.1           # in training",
        "+       dropout: 0.235         # in training",
        "-     training: {}             # nothing of its own",
        "+     training: {optimizer: {lr: 0.0123}}  # nothing of its own",
    ]
    assert found.changes == {"network.dropout": (0.1, 0.235), "training.optimizer.lr": (0.003, 0.0123)}


def test_a_block_of_another_kind_is_whole_and_has_what_the_trial_had() -> None:
    study = opened()
    add(study, [0.9, 0.9, 0.9], SGD)
    found = apply_trial("net", 0)
    write_params(found)
    optimizer = load_params().models["net"].training.optimizer
    # weight_decay was the base's: of another optimizer it is not inherited, so it stands there
    assert optimizer.model_dump(exclude_unset=True) == {
        "name": "sgd", "lr": 0.003, "weight_decay": 0.01, "momentum": 0.877,
    }  # fmt: skip
    assert load_params().models["other"].training.optimizer.name == "adamw"
    add(opened(), [0.9, 0.9, 0.9])  # back again: keys that adamw has not go away
    write_params(apply_trial("net", 1))
    _, after = lines(TEXT, Path("params.yaml").read_text())
    assert "training: {optimizer: {name: adamw, lr: 0.003, weight_decay: 0.01}}  " in after


def test_what_the_base_would_say_otherwise_is_said() -> None:
    text = TEXT.replace("training: {}             # nothing of its own", "training: {optimizer: {name: sgd, lr: 0.01}}")
    Path("params.yaml").write_text(text)
    study = opened()
    add(study, [0.9, 0.9, 0.9], {"training.optimizer.name": "adamw", "training.optimizer.lr": 0.02})
    write_params(apply_trial("net"))
    optimizer = load_params().models["net"].training.optimizer
    assert optimizer.weight_decay == 0.0  # as the trial had it; the base has 0.01
    assert optimizer.lr == 0.02


def test_values_that_a_trial_did_not_try_become_those_that_it_had() -> None:
    study = opened()
    add(study, [0.9, 0.9, 0.9], {"network.dropout": 0.2})
    add(study, [0.8, 0.8, 0.8], SGD)
    write_params(apply_trial("net", 1))
    write_params(apply_trial("net", 0))
    found = load_params().models["net"]
    assert found.network.dropout == 0.2  # type: ignore[union-attr]
    assert found.training == load_params().models["other"].training


def test_adopting_twice_changes_nothing_more() -> None:
    add(opened(), [0.9, 0.9, 0.9], {"network.hidden": [16, 8]})
    write_params(apply_trial("net"))
    found = apply_trial("net")
    assert found.yaml_after == found.yaml_before
    assert found.changes == {}


def test_a_file_keeps_its_rights_its_ends_of_lines_and_its_link(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere.yaml"
    place.write_bytes(TEXT.replace("\n", "\r\n").encode())
    place.chmod(0o640)
    Path("params.yaml").unlink()
    Path("params.yaml").symlink_to(place)
    add(opened(), [0.9, 0.9, 0.9], {"network.dropout": 0.3})
    write_params(apply_trial("net"))
    assert Path("params.yaml").is_symlink()
    assert place.stat().st_mode & 0o777 == 0o640
    assert place.read_bytes() == TEXT.replace("dropout: 0.1 ", "dropout: 0.3 ").replace("\n", "\r\n").encode()
    assert list(tmp_path.glob(".*.yaml.*")) == []


def test_a_file_that_changed_meanwhile_is_not_overwritten() -> None:
    add(opened(), [0.9, 0.9, 0.9], {"network.dropout": 0.3})
    found = apply_trial("net")
    Path("params.yaml").write_text(TEXT + "# more\n")
    with pytest.raises(ParamsError, match=r"params\.yaml must stay as it is .* but was changed; run this again"):
        write_params(found)
    assert Path("params.yaml").read_text() == TEXT + "# more\n"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "trial 1 is pruned: its 2 folds are worse; name another with --trial, the best is 0"),
        (2, "trial 2 is failed: the loss is not finite; name another with --trial, the best is 0"),
        (7, "must be one of the 3 of net, but 7 is none; see `fivefold study show net`"),
    ],
)
def test_a_trial_that_is_not_complete_is_refused(number: int, said: str) -> None:
    study = opened()
    add(study, [0.8, 0.8, 0.8])
    add(study, [0.7, 0.7], state="pruned", reason="its 2 folds are worse")
    add(study, state="failed", reason="the loss is not finite")
    with pytest.raises(InputError, match=said):
        apply_trial("net", number)


def test_a_study_without_a_complete_trial_is_refused() -> None:
    add(opened(), [0.7], state="pruned")
    with pytest.raises(StudyError, match="must have a complete trial, but net has none yet; let it run on"):
        apply_trial("net")


def test_of_a_front_one_must_be_named() -> None:
    text = TEXT.replace("study: {folds: 3,", "study: {objectives: [score, parameters], folds: 3,")
    Path("params.yaml").write_text(text)
    study = opened()
    add(study, [0.8, 0.8, 0.8], parameters=10)
    add(study, [0.9, 0.9, 0.9], {"network.hidden": [16, 8]}, parameters=20)
    add(study, [0.7, 0.7, 0.7], {"network.hidden": [16, 8]}, parameters=20)
    with pytest.raises(InputError, match="net has 2 that none beats in all: 0, 1; choose one with --trial"):
        apply_trial("net")
    assert apply_trial("net", 1).changes == {"network.hidden": ([8], [16, 8])}


def test_what_is_searched_now_is_nothing_to_values_that_were_found() -> None:
    add(opened(), [0.9, 0.9, 0.9], {"network.dropout": 0.3})
    fewer = TEXT.replace("        dropout: {type: float, low: 0.0, high: 0.5}\n", "").replace("folds: 3", "folds: 2")
    Path("params.yaml").write_text(fewer)
    write_params(apply_trial("net"))
    assert Path("params.yaml").read_text() == fewer.replace("dropout: 0.1 ", "dropout: 0.3 ")


def test_values_of_another_model_are_shown_and_refused() -> None:
    add(opened(), [0.9, 0.9, 0.9], {"network.dropout": 0.3})
    Path("params.yaml").write_text(TEXT.replace("max_epochs: 3 ", "max_epochs: 4 "))
    found = apply_trial("net")
    assert found.changes == {"network.dropout": (0.1, 0.3), "training.max_epochs": (4, 3)}
    said = "study 'net' must go on as it began, but model.training.max_epochs was 3 and is 4; put that back"
    with pytest.raises(ParamsError, match=said):
        write_params(found)


def test_each_of_many_differences_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    add(opened(), [0.9, 0.9, 0.9], {"network.dropout": 0.3})
    text = TEXT.replace("  max_epochs: 3 ", "  patience: 2\n  batch_size: 7\n  ema_decay: 0.5\n  max_epochs: 4 ")
    Path("params.yaml").write_text(text.replace("normalize: standard", "normalize: minmax"))
    with pytest.raises(ParamsError) as refused:
        command("net", dry_run=True)
    assert "+      dropout: 0.3 " in capsys.readouterr().out.replace("+       ", "+      ")
    lines = str(refused.value).splitlines()
    assert lines[0] == "study 'net' must go on as it began, but:"
    assert "  model.training.ema_decay was 0.0 and is 0.5" in lines
    assert "  dataset.normalize was 'standard' and is 'minmax'" in lines
    assert lines[-1].startswith("put that back, or run another study: fivefold study run net --name net-2")


def test_what_was_not_there_is_absent() -> None:
    assert dict(diff_trees({"a": None}, {"b": {"c": 1}})) == {"a": (None, ABSENT), "b": (ABSENT, {"c": 1})}
    assert "as it began, but b was absent and is 1; put" in str(
        identity_mismatch_error("net", "net", {"b": (ABSENT, 1)})
    )


def test_no_study_is_no_study_and_leaves_nothing_behind() -> None:
    for name in ("net", "../net"):
        with pytest.raises(FivefoldError, match=f"study '{name}' must have begun, .* run `fivefold study run {name}`"):
            apply_trial(name)
    assert not Path(".fivefold").exists()


def test_numbers_of_a_range_are_rounded_within_it() -> None:
    ranges = parse_ranges(
        {
            "training": {
                "l1": {"type": "float", "low": 0.0012341, "high": 0.5},
                "ema_decay": {"type": "float", "low": 0.0, "high": 0.9, "step": 0.1},
                "max_epochs": {"type": "int", "low": 1, "high": 99999},
                "batch_size": {"type": "categorical", "choices": [0.123456, 2]},
            }
        }
    )
    values = {
        "training.l1": 0.00123412,
        "training.ema_decay": 0.1 * 3,
        "training.max_epochs": 12345,
        "training.batch_size": 0.123456,
    }
    assert round_values(ranges, values) == values | {"training.l1": 0.0012341, "training.ema_decay": 0.3}
    assert round_values(ranges, {"training.l1": 0.0987654}) == {"training.l1": 0.0988}


def test_values_and_keys_are_shown_as_a_person_writes_them() -> None:
    assert [format_objective("parameters", 269_402.0), format_objective("latency", 0.123456)] == ["269,402", "0.1235"]
    assert format_yaml([{"name": "sgd", "lr": 1e-05}, None, True]) == "[{name: sgd, lr: 0.00001}, null, true]"
    keys = ["training.optimizer.lr", "training.optimizer.name", "select.k", "network.loss.lr", "training.batch_size"]
    assert list(shorten_keys(keys).values()) == ["optimizer.lr", "optimizer.name", "select.k", "loss.lr", "batch_size"]
