"""Applying a trial: only its values are written to params.yaml, and they yield the model of the trial."""

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

from .example import SGD, TEXT, add_trial, create_project, open_example


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_project(tmp_path, monkeypatch)


def changed_lines(before: str, after: str) -> list[str]:
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


def test_best_trial_is_written_and_other_lines_are_unchanged() -> None:
    study = open_example()
    add_trial(study, [0.8, 0.8, 0.8])
    add_trial(study, [0.9, 0.9, 0.9], {"network.dropout": 0.234567, "training.optimizer.lr": 0.0123456})
    best_params = apply_trial("net")
    assert changed_lines(best_params.yaml_before, best_params.yaml_after) == [
        "-       dropout: 0.1           # training only",
        "+       dropout: 0.235         # training only",
        "-     training: {}             # no overrides",
        "+     training: {optimizer: {lr: 0.0123}}  # no overrides",
    ]
    assert best_params.changes == {"network.dropout": (0.1, 0.235), "training.optimizer.lr": (0.003, 0.0123)}


def test_block_of_another_kind_is_written_completely() -> None:
    study = open_example()
    add_trial(study, [0.9, 0.9, 0.9], SGD)
    best_params = apply_trial("net", 0)
    write_params(best_params)
    optimizer = load_params().models["net"].training.optimizer
    # weight_decay is that of the base; a block of another kind does not inherit it, so it is written
    assert optimizer.model_dump(exclude_unset=True) == {
        "name": "sgd", "lr": 0.003, "weight_decay": 0.01, "momentum": 0.877,
    }  # fmt: skip
    assert load_params().models["other"].training.optimizer.name == "adamw"
    add_trial(open_example(), [0.9, 0.9, 0.9])  # back to adamw: keys that it does not have are removed
    write_params(apply_trial("net", 1))
    _, after = changed_lines(TEXT, Path("params.yaml").read_text())
    assert "training: {optimizer: {name: adamw, lr: 0.003, weight_decay: 0.01}}  " in after


def test_values_that_the_base_would_change_are_written() -> None:
    text = TEXT.replace("training: {}             # no overrides", "training: {optimizer: {name: sgd, lr: 0.01}}")
    Path("params.yaml").write_text(text)
    study = open_example()
    add_trial(study, [0.9, 0.9, 0.9], {"training.optimizer.name": "adamw", "training.optimizer.lr": 0.02})
    write_params(apply_trial("net"))
    optimizer = load_params().models["net"].training.optimizer
    assert optimizer.weight_decay == 0.0  # as in the trial; the base has 0.01
    assert optimizer.lr == 0.02


def test_inactive_keys_of_a_trial_are_reset() -> None:
    study = open_example()
    add_trial(study, [0.9, 0.9, 0.9], {"network.dropout": 0.2})
    add_trial(study, [0.8, 0.8, 0.8], SGD)
    write_params(apply_trial("net", 1))
    write_params(apply_trial("net", 0))
    best_params = load_params().models["net"]
    assert best_params.network.dropout == 0.2  # type: ignore[union-attr]
    assert best_params.training == load_params().models["other"].training


def test_applying_a_trial_twice_changes_nothing() -> None:
    add_trial(open_example(), [0.9, 0.9, 0.9], {"network.hidden": [16, 8]})
    write_params(apply_trial("net"))
    best_params = apply_trial("net")
    assert best_params.yaml_after == best_params.yaml_before
    assert best_params.changes == {}


def test_permissions_line_endings_and_symlink_are_preserved(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.yaml"
    target.write_bytes(TEXT.replace("\n", "\r\n").encode())
    target.chmod(0o640)
    Path("params.yaml").unlink()
    Path("params.yaml").symlink_to(target)
    add_trial(open_example(), [0.9, 0.9, 0.9], {"network.dropout": 0.3})
    write_params(apply_trial("net"))
    assert Path("params.yaml").is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert target.read_bytes() == TEXT.replace("dropout: 0.1 ", "dropout: 0.3 ").replace("\n", "\r\n").encode()
    assert list(tmp_path.glob(".*.yaml.*")) == []


def test_file_that_changed_meanwhile_is_not_overwritten() -> None:
    add_trial(open_example(), [0.9, 0.9, 0.9], {"network.dropout": 0.3})
    best_params = apply_trial("net")
    Path("params.yaml").write_text(TEXT + "# more\n")
    with pytest.raises(ParamsError, match=r"params\.yaml must not change while values are written, but did; run this"):
        write_params(best_params)
    assert Path("params.yaml").read_text() == TEXT + "# more\n"


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (1, "trial 1 is pruned: its 2 folds are worse; choose another one with --trial, the best is 0"),
        (2, "trial 2 is failed: the loss is not finite; choose another one with --trial, the best is 0"),
        (7, "must be one of the 3 trials of net, but 7 is not; see `fivefold study show net`"),
    ],
)
def test_incomplete_trial_is_refused(number: int, message: str) -> None:
    study = open_example()
    add_trial(study, [0.8, 0.8, 0.8])
    add_trial(study, [0.7, 0.7], state="pruned", reason="its 2 folds are worse")
    add_trial(study, state="failed", reason="the loss is not finite")
    with pytest.raises(InputError, match=message):
        apply_trial("net", number)


def test_study_without_a_complete_trial_is_refused() -> None:
    add_trial(open_example(), [0.7], state="pruned")
    with pytest.raises(StudyError, match="must have a complete trial, but net has none yet; continue the study"):
        apply_trial("net")


def test_trial_must_be_chosen_from_a_pareto_front() -> None:
    text = TEXT.replace("study: {folds: 3,", "study: {objectives: [score, parameters], folds: 3,")
    Path("params.yaml").write_text(text)
    study = open_example()
    add_trial(study, [0.8, 0.8, 0.8], parameters=10)
    add_trial(study, [0.9, 0.9, 0.9], {"network.hidden": [16, 8]}, parameters=20)
    add_trial(study, [0.7, 0.7, 0.7], {"network.hidden": [16, 8]}, parameters=20)
    with pytest.raises(InputError, match="net has 2 Pareto-optimal ones: 0, 1; choose one with --trial"):
        apply_trial("net")
    assert apply_trial("net", 1).changes == {"network.hidden": ([8], [16, 8])}


def test_ranges_that_were_changed_since_do_not_matter() -> None:
    add_trial(open_example(), [0.9, 0.9, 0.9], {"network.dropout": 0.3})
    fewer = TEXT.replace("        dropout: {type: float, low: 0.0, high: 0.5}\n", "").replace("folds: 3", "folds: 2")
    Path("params.yaml").write_text(fewer)
    write_params(apply_trial("net"))
    assert Path("params.yaml").read_text() == fewer.replace("dropout: 0.1 ", "dropout: 0.3 ")


def test_values_of_a_changed_model_are_shown_and_refused() -> None:
    add_trial(open_example(), [0.9, 0.9, 0.9], {"network.dropout": 0.3})
    Path("params.yaml").write_text(TEXT.replace("max_epochs: 3 ", "max_epochs: 4 "))
    best_params = apply_trial("net")
    assert best_params.changes == {"network.dropout": (0.1, 0.3), "training.max_epochs": (4, 3)}
    message = "study 'net' must keep its configuration, but model.training.max_epochs was 3 and is 4; restore it"
    with pytest.raises(ParamsError, match=message):
        write_params(best_params)


def test_many_differences_are_listed_one_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    add_trial(open_example(), [0.9, 0.9, 0.9], {"network.dropout": 0.3})
    text = TEXT.replace("  max_epochs: 3 ", "  patience: 2\n  batch_size: 7\n  ema_decay: 0.5\n  max_epochs: 4 ")
    Path("params.yaml").write_text(text.replace("normalize: standard", "normalize: minmax"))
    with pytest.raises(ParamsError) as refused:
        command("net", dry_run=True)
    assert "+      dropout: 0.3 " in capsys.readouterr().out.replace("+       ", "+      ")
    lines = str(refused.value).splitlines()
    assert lines[0] == "study 'net' must keep its configuration, but:"
    assert "  model.training.ema_decay was 0.0 and is 0.5" in lines
    assert "  dataset.normalize was 'standard' and is 'minmax'" in lines
    assert lines[-1] == "restore it or run another study: fivefold study run net --name net-2"


def test_missing_keys_are_reported_as_absent() -> None:
    assert dict(diff_trees({"a": None}, {"b": {"c": 1}})) == {"a": (None, ABSENT), "b": (ABSENT, {"c": 1})}
    assert "keep its configuration, but b was absent and is 1; restore" in str(
        identity_mismatch_error("net", "net", {"b": (ABSENT, 1)})
    )


def test_missing_study_is_refused_and_creates_nothing() -> None:
    for name in ("net", "../net"):
        with pytest.raises(FivefoldError, match=f"study '{name}' must exist, .* run `fivefold study run {name}`"):
            apply_trial(name)
    assert not Path(".fivefold").exists()


def test_numbers_are_rounded_within_their_range() -> None:
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


def test_values_and_keys_are_formatted() -> None:
    assert [format_objective("parameters", 269_402.0), format_objective("latency", 0.123456)] == ["269,402", "0.1235"]
    assert format_yaml([{"name": "sgd", "lr": 1e-05}, None, True]) == "[{name: sgd, lr: 0.00001}, null, true]"
    keys = ["training.optimizer.lr", "training.optimizer.name", "select.k", "network.loss.lr", "training.batch_size"]
    assert list(shorten_keys(keys).values()) == ["optimizer.lr", "optimizer.name", "select.k", "loss.lr", "batch_size"]
