"""Reports of a study, while it runs and afterwards: best trials, reasons, importance, next commands."""

import io
import json
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from fivefold.cli.study import show as show_command
from fivefold.tracking.study_results import FailureGroup, Importance, Improvement, StudyResult, TrialResult
from fivefold.tuning.execution.liveness import WorkerLock
from fivefold.tuning.execution.progress import StudyProgress, summary_line
from fivefold.tuning.execution.trials import TrialQueue
from fivefold.tuning.results.facts import analyze_study, compute_importance
from fivefold.tuning.results.param_plots import plot_parallel_coordinate, plot_slice
from fivefold.tuning.results.plots import plot_optimization_history, save_plots
from fivefold.tuning.results.report import print_report

from .example import BASELINE_VALUES, SGD, TEXT, add_trial, create_project, open_example


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_project(tmp_path, monkeypatch)


def fill_study(n_random: int = 0) -> None:
    """Add the baseline, a better trial, pruned and failed trials, and random ones."""
    study = open_example()
    add_trial(study, [0.80, 0.82, 0.84])
    add_trial(study, [0.90, 0.80, 0.91], {"network.dropout": 0.234567})
    for epochs in (4, 9):
        reason = f"below the median after {epochs} epochs of the first fold"
        add_trial(study, state="pruned", reason=reason, curve=0.1)
    reason = "worse than trial 1 after 2 folds (Wilcoxon test, p = 0.250)"
    add_trial(study, [0.7, 0.7], SGD, state="pruned", reason=reason)
    for rate in (0.01, 0.02):
        add_trial(study, {}, {"training.optimizer.lr": rate}, "failed", f"the loss is not finite at rate {rate}")
    rng = np.random.default_rng(0)
    for _ in range(n_random):
        dropout, rate = float(rng.uniform(0, 0.5)), float(np.exp(rng.uniform(np.log(0.0003), np.log(0.03))))
        score = 0.8 - dropout / 2 + rng.normal(0, 0.01)
        add_trial(study, [score, score], {"network.dropout": dropout, "training.optimizer.lr": rate, **SGD})


def report(top: int = 10) -> tuple[StudyResult, str]:
    result, screen = analyze_study(TrialQueue.load("net")), io.StringIO()
    print_report(result, top, Console(file=screen, width=140))
    return result, screen.getvalue()


def test_best_trial_is_compared_with_the_baseline() -> None:
    fill_study()
    result, text = report()
    assert (result.best_trial_number, result.baseline_trial_number) == (1, 0)
    assert result.improvement is not None
    assert result.improvement.fold_differences == pytest.approx([0.10, -0.02, 0.07])
    assert (result.improvement.mean_difference, result.improvement.n_better_folds) == (pytest.approx(0.05), 2)
    spread = stdev([0.90, 0.80, 0.91])
    assert f"trial 1, accuracy {fmean([0.90, 0.80, 0.91]):.4g} ± {spread:.2g}" in text
    assert result.param_changes == {"network.dropout": (0.1, 0.235)}
    assert "fivefold study apply net" in text.splitlines()[-1]


def test_pruned_and_failed_trials_are_grouped_by_reason() -> None:
    fill_study()
    result, text = report()
    assert result.state_counts == {"complete": 2, "pruned": 3, "failed": 2, "running": 0, "waiting": 0}
    assert [(group.reason, group.trial_numbers) for group in result.pruned_groups] == [
        ("below the median after 4 to 9 epochs of the first fold", (2, 3)),
        ("worse than the best trial after 2 folds (Wilcoxon test)", (4,)),
    ]
    assert [(group.reason, group.trial_numbers) for group in result.failed_groups] == [
        ("the loss is not finite at rate 0.01", (5, 6))
    ]
    assert "  2 the loss is not finite at rate 0.01  (trial 5, 6)" in text


def test_importance_requires_enough_trials() -> None:
    fill_study()
    result, text = report()
    assert result.importance.importances == {}
    assert "too few trials: 5 can be ranked, but an estimate needs 12" in text


def test_influential_key_is_the_most_important() -> None:
    fill_study(25)
    result, text = report(top=3)
    assert next(iter(result.importance.importances)) == "network.dropout"
    assert result.importance.importances["network.dropout"] > 0.5
    assert sum(result.importance.importances.values()) == pytest.approx(1)
    assert "best 3 of 27 complete trials" in text


def test_report_of_a_running_study_and_after_the_death_of_its_worker() -> None:
    _, trials = open_example()
    trials.enqueue(3, [])
    worker = WorkerLock("net")
    trials.claim(worker, 3)
    result, text = report()
    assert (result.state_counts["running"], result.state_counts["waiting"], result.n_lost) == (1, 2, 0)
    assert "3 trials: 1 running, 2 waiting" in text
    assert text.splitlines()[-1].startswith("wait for the first trial")
    assert text.splitlines()[1] == "3 folds, seed 0"
    worker.release()
    result, text = report()
    assert result.n_lost == 1
    assert "fivefold study run net --trials 3    # continues with the remaining 3 trials" in text
    assert text.count("fivefold study run") == 2  # for the lost trials, and as the next command


@pytest.mark.parametrize(("total", "left"), [(2, 1), (4, 3), (250, 249)])
def test_remaining_trials_follow_the_last_requested_total(total: int, left: int) -> None:
    study = open_example()
    add_trial(study, [0.8, 0.8, 0.8])
    study[1].set_total(4)
    study[1].set_total(total)
    result, text = report()
    assert result.state_counts["waiting"] == left
    assert f"{total} trials: 1 complete, {left} waiting" in text
    assert f"fivefold study run net --trials {total}    # continues with the remaining {left} trials" in text


def test_running_trials_are_sorted_by_number() -> None:
    search, trials = open_example()
    trials.enqueue(3, [])
    trials.claim(WorkerLock("net"), 3, 3)
    table = StudyProgress(search, trials, 3)._render_table(trials.get_trials()[::-1])
    assert list(table.columns[0].cells) == ["0", "1", "2"]


def test_study_without_results_is_restarted() -> None:
    study = open_example()
    for _ in range(2):
        add_trial(study, state="failed", reason="the loss is not finite")
    _, text = report()
    last = "fivefold study run net --trials 2    # restarts it, once the reasons above are fixed in models.net"
    assert text.splitlines()[-2:] == ["next", last]


@pytest.mark.parametrize("terminal", [True, False])
def test_summary_line_remains_after_a_run(terminal: bool) -> None:
    fill_study()
    search, trials = open_example()
    screen = io.StringIO()
    with StudyProgress(search, trials, 20, Console(file=screen, force_terminal=terminal, width=60)) as progress:
        progress.update(trials.get_trials())
    last = "net: 7 of 20 trials: 2 complete, 3 pruned, 2 failed; best trial 1, accuracy 0.87\n"
    assert screen.getvalue().endswith(last)


def test_pareto_front_is_a_table() -> None:
    text = TEXT.replace("study: {folds: 3,", "study: {objectives: [score, parameters], folds: 3,")
    Path("params.yaml").write_text(text)
    study = open_example()
    for score, size in ((0.8, 10), (0.9, 20), (0.85, 30), (0.9, 15)):
        add_trial(study, [score] * 3, {"network.dropout": size / 100}, parameters=size)
    assert summary_line(*study, 3) == "net: 4 trials: 4 complete; 2 trials on the Pareto front"
    result, text = report()
    assert (result.best_trial_number, result.pareto_front) == (None, (0, 3))
    assert "Pareto front: 2 of 4 complete trials" in text
    assert "fivefold study apply net --trial 0" in text
    assert ["trial", "accuracy", "number", "of", "parameters"] in [line.split()[:5] for line in text.splitlines()]
    assert TrialQueue.load("net").study.metric_names == ["accuracy", "number of parameters"]
    assert {path.name for path in save_plots(result, result.importance, Path("plots"))} == {
        "pareto.png",
        "parallel.png",
        "slice.png",
    }


def test_every_json_key_is_documented() -> None:
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


def test_json_contains_the_complete_result(capsys: pytest.CaptureFixture[str]) -> None:
    fill_study()
    show_command("net", as_json=True)
    tree = json.loads(capsys.readouterr().out)
    assert tree == json.loads(analyze_study(TrialQueue.load("net")).model_dump_json())
    assert tree["trials"][0]["params"] == BASELINE_VALUES


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_trials_outside_an_axis_are_marked_at_its_edge(metric: str) -> None:
    if metric == "log_loss":
        Path("params.yaml").write_text(TEXT.replace("metric: accuracy", "metric: log_loss"))
    study = open_example()
    for score in (0.90, 0.91, 0.92, 0.93, 0.94):
        loss = {"log_loss": 1 - score}
        add_trial(study, [score] * 3, **loss)
    add_trial(study, [0.1] * 3, SGD, log_loss=40.0)
    result = analyze_study(TrialQueue.load("net"))
    triangles = [
        [points for points in axes.collections if tuple(points.get_edgecolor()[0][:3]) == (0.15, 0.15, 0.15)]
        for fig in (
            plot_optimization_history(result),
            plot_parallel_coordinate(result, ["network.dropout"]),
            plot_slice(result, ["network.dropout"]),
        )
        for axes in fig.axes
    ]
    assert [len(each) for each in triangles] == [1, 1, 1]
    assert triangles[0][0].get_label() == "outside the axis: 1"
    assert triangles[0][0].get_offsets()[0][0] == 5


def test_best_trial_is_drawn_once_next_to_others_of_its_choice() -> None:
    study = open_example()
    for score in (0.8, 0.9, 0.7):
        add_trial(study, [score] * 3)
    (axes,) = plot_slice(analyze_study(TrialQueue.load("net")), ["training.optimizer.name"]).axes
    offsets = [np.asarray(points.get_offsets()).tolist() for points in axes.collections]
    dots, star = (points for points in offsets if points)
    assert [score for _, score in dots] == pytest.approx([0.8, 0.7])
    assert star == [pytest.approx([(0.618 - 0.5) * 0.35 / 2, 0.9])]


def test_missing_plot_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill_study()
    show_command("net", plots=tmp_path / "one")
    assert capsys.readouterr().err == ("no importance.png: too few trials: 5 can be ranked, but an estimate needs 12\n")


def test_plots_are_written_and_reproducible(tmp_path: Path) -> None:
    fill_study(15)
    show_command("net", plots=tmp_path / "one")
    result = analyze_study(TrialQueue.load("net"))
    save_plots(result, compute_importance(result), tmp_path / "two")
    names = [path.name for path in sorted((tmp_path / "one").iterdir())]
    assert names == ["history.png", "importance.png", "parallel.png", "slice.png"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        with Image.open(tmp_path / "one" / name) as image:
            assert np.asarray(image.convert("L")).std() > 10  # not empty
