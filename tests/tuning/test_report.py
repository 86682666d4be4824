"""What a study found, told while it runs and after: best trials, reasons, what matters, what comes next."""

import io
import json
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from fivefold.cli.study import show as command
from fivefold.tracking.study_results import FailureGroup, Importance, Improvement, StudyResult, TrialResult
from fivefold.tuning.execution.liveness import WorkerLock
from fivefold.tuning.execution.progress import StudyProgress, summary_line
from fivefold.tuning.execution.trials import TrialQueue
from fivefold.tuning.results.facts import analyze_study, compute_importance
from fivefold.tuning.results.param_plots import plot_parallel_coordinate, plot_slice
from fivefold.tuning.results.plots import plot_optimization_history, save_plots
from fivefold.tuning.results.report import print_report

from .example import OWN_VALUES, SGD, TEXT, add, opened, project


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path, monkeypatch)


def study(trials: int = 0) -> None:
    """Put trials in: params.yaml's own, a better one, some that are pruned and failed, and as many more."""
    pair = opened()
    add(pair, [0.80, 0.82, 0.84])
    add(pair, [0.90, 0.80, 0.91], {"network.dropout": 0.234567})
    for epochs in (4, 9):
        reason = f"after {epochs} epochs of the first fold it is below the median of others"
        add(pair, state="pruned", reason=reason, curve=0.1)
    add(pair, [0.7, 0.7], SGD, state="pruned", reason="its 2 folds are worse than those of trial 1, p 0.250")
    for rate in (0.01, 0.02):
        add(pair, {}, {"training.optimizer.lr": rate}, "failed", f"the loss is not finite at rate {rate}")
    rng = np.random.default_rng(0)
    for _ in range(trials):
        dropout, rate = float(rng.uniform(0, 0.5)), float(np.exp(rng.uniform(np.log(0.0003), np.log(0.03))))
        score = 0.8 - dropout / 2 + rng.normal(0, 0.01)
        add(pair, [score, score], {"network.dropout": dropout, "training.optimizer.lr": rate, **SGD})


def seen(top: int = 10) -> tuple[StudyResult, str]:
    facts, screen = analyze_study(TrialQueue.load("net")), io.StringIO()
    print_report(facts, top, Console(file=screen, width=140))
    return facts, screen.getvalue()


def test_the_best_trial_is_compared_with_what_params_yaml_had() -> None:
    study()
    facts, text = seen()
    assert (facts.best_trial_number, facts.baseline_trial_number) == (1, 0)
    assert facts.improvement is not None
    assert facts.improvement.fold_differences == pytest.approx([0.10, -0.02, 0.07])
    assert (facts.improvement.mean_difference, facts.improvement.n_better_folds) == (pytest.approx(0.05), 2)
    spread = stdev([0.90, 0.80, 0.91])
    assert f"trial 1, accuracy {fmean([0.90, 0.80, 0.91]):.4g} ± {spread:.2g}" in text
    assert facts.param_changes == {"network.dropout": (0.1, 0.235)}
    assert "fivefold study adopt net" in text.splitlines()[-1]


def test_what_ended_early_is_grouped_by_why() -> None:
    study()
    facts, text = seen()
    assert facts.state_counts == {"complete": 2, "pruned": 3, "failed": 2, "running": 0, "waiting": 0}
    assert [(group.reason, group.trial_numbers) for group in facts.pruned_groups] == [
        ("after 4 to 9 epochs of the first fold (below the median)", (2, 3)),
        ("by the paired test after 2 folds", (4,)),
    ]
    assert [(group.reason, group.trial_numbers) for group in facts.failed_groups] == [
        ("the loss is not finite at rate 0.01", (5, 6))
    ]
    assert "  2 the loss is not finite at rate 0.01  (trial 5, 6)" in text


def test_of_few_trials_no_importance_is_told() -> None:
    study()
    facts, text = seen()
    assert facts.importance.importances == {}
    assert "too few trials: 5 can be ranked, and with fewer than 12 shares would be chance" in text


def test_the_key_that_makes_the_difference_is_the_weightiest() -> None:
    study(25)
    facts, text = seen(top=3)
    assert next(iter(facts.importance.importances)) == "network.dropout"
    assert facts.importance.importances["network.dropout"] > 0.5
    assert sum(facts.importance.importances.values()) == pytest.approx(1)
    assert "best 3 of 27 complete trials" in text


def test_a_study_is_shown_while_it_runs_and_after_its_worker_died() -> None:
    _, trials = opened()
    trials.enqueue(3, [])
    worker = WorkerLock("net")
    trials.claim(worker, 3)
    facts, text = seen()
    assert (facts.state_counts["running"], facts.state_counts["waiting"], facts.n_lost) == (1, 2, 0)
    assert "3 trials: 1 running, 2 waiting" in text
    assert text.splitlines()[-1].startswith("wait for the first trial")
    assert text.splitlines()[1] == "3 folds, seed 0"
    worker.release()
    facts, text = seen()
    assert facts.n_lost == 1
    assert "fivefold study run net --trials 3    # goes on with the 3 trials that are left" in text
    assert text.count("fivefold study run") == 2  # who lost their worker, and what comes next


@pytest.mark.parametrize(("total", "left"), [(2, 1), (4, 3), (250, 249)])
def test_what_is_left_is_told_by_the_total_that_was_asked_for_last(total: int, left: int) -> None:
    pair = opened()
    add(pair, [0.8, 0.8, 0.8])
    pair[1].set_total(4)
    pair[1].set_total(total)
    facts, text = seen()
    assert facts.state_counts["waiting"] == left
    assert f"{total} trials: 1 complete, {left} waiting" in text
    assert f"fivefold study run net --trials {total}    # goes on with the {left} trials that are left" in text


def test_running_trials_stand_in_order_of_their_numbers() -> None:
    search, trials = opened()
    trials.enqueue(3, [])
    trials.claim(WorkerLock("net"), 3, 3)
    table = StudyProgress(search, trials, 3)._render_table(trials.get_trials()[::-1])
    assert list(table.columns[0].cells) == ["0", "1", "2"]


def test_a_study_that_found_nothing_begins_anew() -> None:
    pair = opened()
    for _ in range(2):
        add(pair, state="failed", reason="the loss is not finite")
    _, text = seen()
    last = "fivefold study run net --trials 2    # begins anew once models.net is mended as the reasons say"
    assert text.splitlines()[-2:] == ["next", last]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_line_remains_of_a_run(terminal: bool) -> None:
    study()
    search, trials = opened()
    screen = io.StringIO()
    with StudyProgress(search, trials, 20, Console(file=screen, force_terminal=terminal, width=60)) as live:
        live.update(trials.get_trials())
    last = "net: 7 of 20 trials: 2 complete, 3 pruned, 2 failed; best trial 1, accuracy 0.87\n"
    assert screen.getvalue().endswith(last)


def test_of_several_objectives_the_front_is_a_table() -> None:
    text = TEXT.replace("study: {folds: 3,", "study: {objectives: [score, parameters], folds: 3,")
    Path("params.yaml").write_text(text)
    pair = opened()
    for score, size in ((0.8, 10), (0.9, 20), (0.85, 30), (0.9, 15)):
        add(pair, [score] * 3, {"network.dropout": size / 100}, parameters=size)
    assert summary_line(*pair, 3) == "net: 4 trials: 4 complete; 2 trials on the front"
    facts, text = seen()
    assert (facts.best_trial_number, facts.pareto_front) == (None, (0, 3))
    assert "Pareto front: 2 of 4 complete trials, that none beats in all" in text
    assert "fivefold study adopt net --trial 0" in text
    assert ["trial", "accuracy", "weights"] in [line.split()[:3] for line in text.splitlines()]
    assert TrialQueue.load("net").study.metric_names == ["accuracy", "weights"]
    assert {path.name for path in save_plots(facts, facts.importance, Path("plots"))} == {
        "pareto.png",
        "parallel.png",
        "slice.png",
    }


def test_every_key_of_the_json_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs/studies.md").read_text()
    keys = [
        *StudyResult.model_fields,
        *TrialResult.model_fields,
        *FailureGroup.model_fields,
        *Importance.model_fields,
        *Improvement.model_fields,
    ]
    assert len(keys) > 30
    assert [key for key in keys if f"`{key}`" not in text] == []


def test_json_has_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    study()
    command("net", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads(analyze_study(TrialQueue.load("net")).model_dump_json())
    assert told["trials"][0]["values"] == OWN_VALUES


@pytest.mark.parametrize("better", ["accuracy", "log_loss"])
def test_trials_beyond_an_axis_are_marked_at_its_edge(better: str) -> None:
    if better == "log_loss":
        Path("params.yaml").write_text(TEXT.replace("metric: accuracy", "metric: log_loss"))
    pair = opened()
    for score in (0.90, 0.91, 0.92, 0.93, 0.94):
        loss = {"log_loss": 1 - score}
        add(pair, [score] * 3, **loss)
    add(pair, [0.1] * 3, SGD, log_loss=40.0)
    facts = analyze_study(TrialQueue.load("net"))
    marks = [
        [points for points in axes.collections if tuple(points.get_edgecolor()[0][:3]) == (0.15, 0.15, 0.15)]
        for fig in (
            plot_optimization_history(facts),
            plot_parallel_coordinate(facts, ["network.dropout"]),
            plot_slice(facts, ["network.dropout"]),
        )
        for axes in fig.axes
    ]
    assert [len(each) for each in marks] == [1, 1, 1]
    assert marks[0][0].get_label() == "beyond the axis: 1"
    assert marks[0][0].get_offsets()[0][0] == 5


def test_the_best_trial_is_drawn_once_beside_others_of_its_choice() -> None:
    pair = opened()
    for score in (0.8, 0.9, 0.7):
        add(pair, [score] * 3)
    (axes,) = plot_slice(analyze_study(TrialQueue.load("net")), ["training.optimizer.name"]).axes
    drawn = [np.asarray(points.get_offsets()).tolist() for points in axes.collections]
    dots, star = (points for points in drawn if points)
    assert [score for _, score in dots] == pytest.approx([0.8, 0.7])
    assert star == [pytest.approx([(0.618 - 0.5) * 0.35 / 2, 0.9])]


def test_a_missing_picture_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study()
    command("net", plots=tmp_path / "one")
    assert capsys.readouterr().err == (
        "no importance.png: too few trials: 5 can be ranked, and with fewer than 12 shares would be chance\n"
    )


def test_pictures_are_written_and_the_same_each_time(tmp_path: Path) -> None:
    study(15)
    command("net", plots=tmp_path / "one")
    facts = analyze_study(TrialQueue.load("net"))
    save_plots(facts, compute_importance(facts), tmp_path / "two")
    names = [path.name for path in sorted((tmp_path / "one").iterdir())]
    assert names == ["history.png", "importance.png", "parallel.png", "slice.png"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        with Image.open(tmp_path / "one" / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 10  # not empty
