"""Console report of `fivefold study show`."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...tracking.study_results import FailureGroup, StudyResult, TrialResult
from ..execution.storage import dashboard_argument
from ..formatting import format_objective, format_yaml, objective_label, round_values, shorten_keys
from .facts import search_ranges

MAX_VALUE_LENGTH = 28
"""Longest value in a table, in characters."""
BAR_WIDTH = 30
"""Length of the longest bar, in characters."""
STATE_COLORS = {"complete": "green", "pruned": "yellow", "failed": "red", "running": "cyan", "waiting": "dim"}
MAX_LISTED_TRIALS = 12
"""Trials of a group that are listed."""


def print_report(study: StudyResult, top: int, console: Console) -> None:
    """Print the results of a study and the next commands."""
    for part in render_report(study, top, console.width):
        console.print(part, soft_wrap=isinstance(part, Text), highlight=False)


def render_report(study: StudyResult, top: int, width: int) -> Iterator[Text | Table]:
    """Yield the parts of the report, from top to bottom."""
    yield _render_header(study)
    yield Text(study.description)
    yield _render_counts(study)
    if study.n_lost:
        yield Text(
            f"{study.n_lost} running trials have lost their worker; `{_resume_command(study)}` continues them",
            "yellow",
        )
    if study.best_trial_number is not None:
        yield from _render_best(study)
    if len(study.objectives) > 1:
        yield from _render_front(study, width)
    elif n_complete := len(study.trials_in_state("complete")):
        yield _section_title(f"best {min(top, n_complete)} of {n_complete} complete trials")
        yield _render_trials(study, study.ranked_trials()[:top], width)
    yield from _render_importance(study)
    yield from _render_groups("pruned", study.pruned_groups)
    yield from _render_groups("failed", study.failed_groups)
    yield _section_title("storage")
    yield Text(f"{study.storage_uri}; view it with: optuna-dashboard {dashboard_argument(study.storage_uri)}")
    yield from _render_next_steps(study)


def _render_header(study: StudyResult) -> Text:
    model = "" if study.name == study.model else f" of model {study.model}"
    objectives = ", ".join(
        f"{objective_label(objective, study.metric)} ({study.direction if objective == 'score' else 'lower'} is better)"
        for objective in study.objectives
    )
    folds = f"mean of {study.n_folds} folds" if study.n_folds > 1 else "on the validation rows"
    return Text.assemble((study.name, "bold"), f": study{model}, {objectives}, {folds}")


def _render_counts(study: StudyResult) -> Text:
    line = Text(f"{sum(study.state_counts.values())} trials: ")
    present = [(state, count) for state, count in study.state_counts.items() if count]
    for i, (state, count) in enumerate(present):
        line.append(", " if i else "").append(f"{count} {state}", STATE_COLORS[state])
    return line


def _section_title(text: str) -> Text:
    return Text(f"\n{text}", "bold")


def format_score(value: float, sign: bool = False) -> str:
    """Return a score as text."""
    return f"{value:+.4g}" if sign else f"{value:.4g}"


def format_trial_score(trial: TrialResult) -> str:
    """Return a trial's score with the standard deviation over its folds as text."""
    spread = "" if trial.std is None else f" ± {trial.std:.2g}"
    return "" if trial.score is None else f"{format_score(trial.score)}{spread}"


def _render_best(study: StudyResult) -> Iterator[Text | Table]:
    best, base = study.get_trial(study.best_trial_number), study.get_trial(study.baseline_trial_number)
    if best is None:
        return
    yield Text.assemble("\nbest: ", (f"trial {best.number}, {study.metric} {format_trial_score(best)}", "bold green"))
    if best is base:
        yield Text("this is the baseline, the values of params.yaml: no other trial is better")
    elif base is None:
        yield Text("the baseline (params.yaml) is not among the complete trials: the improvement is unknown")
    if study.improvement is not None and base is not None:
        folds = "  ".join(format_score(each, sign=True) for each in study.improvement.fold_differences)
        yield Text(f"baseline (params.yaml): trial {base.number}, {study.metric} {format_trial_score(base)}")
        yield Text(
            f"  improvement {format_score(study.improvement.mean_difference, sign=True)} (positive is better);"
            f" per fold {folds}"
        )
        yield Text(
            f"  better on {study.improvement.n_better_folds} of {len(study.improvement.fold_differences)} folds;"
            f" selected as the best of {len(study.trials_in_state('complete'))} on the same folds, so expect a worse"
            " score on new data",
            "dim",
        )
    if study.param_changes:
        table = Table("key", "params.yaml", f"trial {best.number}", box=box.SIMPLE_HEAD, pad_edge=False)
        for key, (current, value) in study.param_changes.items():
            table.add_row(key, Text("" if current is None else format_yaml(current)), Text(format_yaml(value), "bold"))
        yield table
    else:
        yield Text("params.yaml has these values")


def _render_front(study: StudyResult, width: int) -> Iterator[Text | Table]:
    front = [trial for trial in study.trials_in_state("complete") if trial.number in study.pareto_front]
    if front:
        yield _section_title(f"Pareto front: {len(front)} of {len(study.trials_in_state('complete'))} complete trials")
        first_down = study.objectives[0] == "score" and study.direction == "higher"
        yield _render_trials(study, sorted(front, key=lambda trial: trial.objective_values, reverse=first_down), width)


def _render_trials(study: StudyResult, trials: Sequence[TrialResult], width: int) -> Table:
    """Return a table of trials with as many keys as fit into `width`."""
    single_objective = len(study.objectives) == 1
    headers = ["trial", study.metric, "folds"]
    if not single_objective:
        headers = ["trial", *(objective_label(objective, study.metric) for objective in study.objectives)]
    ranges = search_ranges(study)
    rows = []
    for trial in trials:
        folds = [format_trial_score(trial), " ".join(f"{fold:.3g}" for fold in trial.fold_scores)]
        rows.append(
            [
                str(trial.number),
                *(folds if single_objective else map(format_objective, study.objectives, trial.objective_values)),
            ]
        )
    shown = [round_values(ranges, trial.params) for trial in trials]
    names = shorten_keys(ranges)
    columns = {
        names[key]: [_format_cell(values, key) for values in shown] for key in _sort_by_importance(study, list(ranges))
    }
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, header in enumerate(headers):
        table.add_column(header, justify="left" if header == "folds" else "right", no_wrap=True)
        width -= 2 + max(len(header), *(len(row[i]) for row in rows))
    shown_columns = list[list[str]]()
    for name, cells in columns.items():
        width -= 2 + max(len(name), *map(len, cells))
        if width < 0:
            table.caption = f"{len(columns) - len(shown_columns)} more keys: --json has them"
            break
        table.add_column(name, no_wrap=True)
        shown_columns.append(cells)
    for row, *cells in zip(rows, *shown_columns, strict=True):
        table.add_row(*map(Text, (*row, *cells)))
    return table


def _sort_by_importance(study: StudyResult, keys: list[str]) -> list[str]:
    """Return keys by importance; those without one keep their order."""
    return [*study.importance.importances, *(key for key in keys if key not in study.importance.importances)]


def _format_cell(values: dict[str, Any], key: str) -> str:
    text = format_yaml(values[key]) if key in values else "-"
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 1]}…"


def _render_importance(study: StudyResult) -> Iterator[Text | Table]:
    yield _section_title("parameter importance: share of the variance of ranks")
    if study.importance.note:
        yield Text(study.importance.note)
        return
    yield Text(f"{study.importance.method}, {study.importance.n_trials} complete and pruned trials", "dim")
    table = Table.grid(padding=(0, 2))
    largest = max(study.importance.importances.values()) or 1.0
    for key, share in study.importance.importances.items():
        table.add_row(
            key, Text(f"{share:.0%}", justify="right"), Text("█" * round(BAR_WIDTH * share / largest), "cyan")
        )
    yield table


def _render_groups(state: str, groups: Sequence[FailureGroup]) -> Iterator[Text]:
    if groups:
        yield _section_title(f"{state}: {sum(len(group.trial_numbers) for group in groups)}")
    for group in groups:
        numbers = ", ".join(map(str, group.trial_numbers[:MAX_LISTED_TRIALS])) + (
            ", ..." if len(group.trial_numbers) > MAX_LISTED_TRIALS else ""
        )
        yield Text.assemble(f"{len(group.trial_numbers):>3} {group.reason}", (f"  (trial {numbers})", "dim"))


def _run_command(study: StudyResult) -> str:
    return f"fivefold study run {study.model}" + ("" if study.name == study.model else f" --name {study.name}")


def _resume_command(study: StudyResult) -> str:
    return f"{_run_command(study)} --trials {study.n_trials}"


def _render_next_steps(study: StudyResult) -> Iterator[Text]:
    """Yield the next command."""
    yield _section_title("next")
    n_running = study.state_counts["running"] - study.n_lost
    n_left = study.state_counts["waiting"] + study.n_lost
    if n_left and not n_running:
        yield Text(f"{_resume_command(study)}    # continues with the remaining {n_left} trials")
    if study.best_trial_number is not None and study.best_trial_number != study.baseline_trial_number:
        yield Text(
            f"fivefold study apply {study.name}    # writes the values of trial {study.best_trial_number} into"
            " params.yaml"
        )
    elif study.pareto_front and len(study.objectives) > 1:
        example = study.pareto_front[0]
        yield Text(f"fivefold study apply {study.name} --trial {example}    # or another trial of the front")
    elif not study.trials_in_state("complete"):
        if n_running:
            yield Text("wait for the first trial")
        elif not n_left:
            yield Text(
                f"{_resume_command(study)}    # restarts it, once the reasons above are fixed in models.{study.model}"
            )
    else:
        yield Text(f"widen the ranges of models.{study.model}.search or add trials: {_run_command(study)} --trials N")
