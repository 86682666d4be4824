"""What `fivefold study show` shows on the screen."""

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
"""Characters of a value that are shown."""
BAR_WIDTH = 30
"""Characters of the longest bar."""
STATE_COLORS = {"complete": "green", "pruned": "yellow", "failed": "red", "running": "cyan", "waiting": "dim"}
MAX_LISTED_TRIALS = 12
"""Trials of a group that are named."""


def print_report(study: StudyResult, top: int, console: Console) -> None:
    """Print what a study has found, and what comes next."""
    for part in render_report(study, top, console.width):
        console.print(part, soft_wrap=isinstance(part, Text), highlight=False)


def render_report(study: StudyResult, top: int, width: int) -> Iterator[Text | Table]:
    """Yield what is printed, from top to bottom."""
    yield _render_header(study)
    yield Text(study.description)
    yield _render_counts(study)
    if study.n_lost:
        yield Text(
            f"{study.n_lost} of the running ones lost their worker; `{_resume_command(study)}` takes them up", "yellow"
        )
    if study.best_trial_number is not None:
        yield from _render_best(study)
    if len(study.objectives) > 1:
        yield from _render_front(study, width)
    elif study.trials_in_state("complete"):
        yield _section_title(
            f"best {min(top, len(study.trials_in_state('complete')))} of {len(study.trials_in_state('complete'))} complete trials"
        )
        yield _render_trials(study, study.ranked_trials()[:top], width)
    yield from _render_importance(study)
    yield from _render_groups("pruned", study.pruned_groups)
    yield from _render_groups("failed", study.failed_groups)
    yield _section_title("where")
    yield Text(f"{study.storage_uri}; to browse it: optuna-dashboard {dashboard_argument(study.storage_uri)}")
    yield from _render_next_steps(study)


def _render_header(study: StudyResult) -> Text:
    of = "" if study.name == study.model else f" of model {study.model}"
    after = ", ".join(
        f"{objective_label(objective, study.metric)} ({study.direction if objective == 'score' else 'lower'} is better)"
        for objective in study.objectives
    )
    folds = f"mean of {study.n_folds} folds" if study.n_folds > 1 else "on the validation rows"
    return Text.assemble((study.name, "bold"), f": study{of}, {after}, {folds}")


def _render_counts(study: StudyResult) -> Text:
    said = Text(f"{sum(study.state_counts.values())} trials: ")
    there = [(state, count) for state, count in study.state_counts.items() if count]
    for place, (state, count) in enumerate(there):
        said.append(", " if place else "").append(f"{count} {state}", STATE_COLORS[state])
    return said


def _section_title(text: str) -> Text:
    return Text(f"\n{text}", "bold")


def format_score(value: float, sign: bool = False) -> str:
    """Return a score as it is shown."""
    return f"{value:+.4g}" if sign else f"{value:.4g}"


def format_trial_score(trial: TrialResult) -> str:
    """Return a trial's score with its deviation over folds."""
    spread = "" if trial.std is None else f" ± {trial.std:.2g}"
    return "" if trial.score is None else f"{format_score(trial.score)}{spread}"


def _render_best(study: StudyResult) -> Iterator[Text | Table]:
    best, base = study.get_trial(study.best_trial_number), study.get_trial(study.baseline_trial_number)
    if best is None:
        return
    yield Text.assemble("\nbest: ", (f"trial {best.number}, {study.metric} {format_trial_score(best)}", "bold green"))
    if best is base:
        yield Text("these are the values that params.yaml had: nothing that was tried is better")
    elif base is None:
        yield Text("what params.yaml had was not tried, or is not complete: how much was gained cannot be told")
    if study.improvement is not None and base is not None:
        folds = "  ".join(format_score(each, sign=True) for each in study.improvement.fold_differences)
        yield Text(f"against params.yaml as it was, trial {base.number}, {study.metric} {format_trial_score(base)}:")
        yield Text(
            f"  {format_score(study.improvement.mean_difference, sign=True)}, above 0 being better; fold by fold {folds}"
        )
        yield Text(
            f"  better on {study.improvement.n_better_folds} of {len(study.improvement.fold_differences)}; chosen as the best of"
            f" {len(study.trials_in_state('complete'))} on these very folds, so expect less of new rows",
            "dim",
        )
    if study.param_changes:
        table = Table("key", "params.yaml", f"trial {best.number}", box=box.SIMPLE_HEAD, pad_edge=False)
        for key, (now, value) in study.param_changes.items():
            table.add_row(key, Text("" if now is None else format_yaml(now)), Text(format_yaml(value), "bold"))
        yield table
    else:
        yield Text("params.yaml has these values")


def _render_front(study: StudyResult, width: int) -> Iterator[Text | Table]:
    front = [trial for trial in study.trials_in_state("complete") if trial.number in study.pareto_front]
    if front:
        yield _section_title(
            f"Pareto front: {len(front)} of {len(study.trials_in_state('complete'))} complete trials, that none beats in all"
        )
        first_down = study.objectives[0] == "score" and study.direction == "higher"
        yield _render_trials(study, sorted(front, key=lambda trial: trial.objective_values, reverse=first_down), width)


def _render_trials(study: StudyResult, trials: Sequence[TrialResult], width: int) -> Table:
    """Return a table of trials, with as many keys as fit."""
    single = len(study.objectives) == 1
    heads = ["trial", study.metric, "folds"]
    if not single:
        heads = ["trial", *(objective_label(objective, study.metric) for objective in study.objectives)]
    searched = search_ranges(study)
    rows = []
    for trial in trials:
        folds = [format_trial_score(trial), " ".join(f"{fold:.3g}" for fold in trial.fold_scores)]
        rows.append(
            [str(trial.number), *(folds if single else map(format_objective, study.objectives, trial.objective_values))]
        )
    shown = [round_values(searched, trial.params) for trial in trials]
    names = shorten_keys(searched)
    columns = {
        names[key]: [_format_cell(values, key) for values in shown]
        for key in _sort_by_importance(study, list(searched))
    }
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if head == "folds" else "right", no_wrap=True)
        width -= 2 + max(len(head), *(len(row[place]) for row in rows))
    kept = list[list[str]]()
    for name, cells in columns.items():
        width -= 2 + max(len(name), *map(len, cells))
        if width < 0:
            table.caption = f"{len(columns) - len(kept)} more keys: --json has them"
            break
        table.add_column(name, no_wrap=True)
        kept.append(cells)
    for row, *cells in zip(rows, *kept, strict=True):
        table.add_row(*map(Text, (*row, *cells)))
    return table


def _sort_by_importance(study: StudyResult, keys: list[str]) -> list[str]:
    """Return keys in their order, or where it is known, the weightiest first."""
    return [*study.importance.importances, *(key for key in keys if key not in study.importance.importances)]


def _format_cell(values: dict[str, Any], key: str) -> str:
    text = format_yaml(values[key]) if key in values else "-"
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 1]}…"


def _render_importance(study: StudyResult) -> Iterator[Text | Table]:
    yield _section_title("what matters: share of the differences in rank that a key explains")
    if study.importance.note:
        yield Text(study.importance.note)
        return
    yield Text(f"{study.importance.method}, {study.importance.n_trials} trials, complete and pruned", "dim")
    table = Table.grid(padding=(0, 2))
    most = max(study.importance.importances.values()) or 1.0
    for key, share in study.importance.importances.items():
        table.add_row(key, Text(f"{share:.0%}", justify="right"), Text("█" * round(BAR_WIDTH * share / most), "cyan"))
    yield table


def _render_groups(state: str, groups: Sequence[FailureGroup]) -> Iterator[Text]:
    if groups:
        yield _section_title(f"{state}: {sum(len(group.trial_numbers) for group in groups)}")
    for group in groups:
        named = ", ".join(map(str, group.trial_numbers[:MAX_LISTED_TRIALS])) + (
            ", ..." if len(group.trial_numbers) > MAX_LISTED_TRIALS else ""
        )
        yield Text.assemble(f"{len(group.trial_numbers):>3} {group.reason}", (f"  (trial {named})", "dim"))


def _run_command(study: StudyResult) -> str:
    return f"fivefold study run {study.model}" + ("" if study.name == study.model else f" --name {study.name}")


def _resume_command(study: StudyResult) -> str:
    return f"{_run_command(study)} --trials {study.n_trials}"


def _render_next_steps(study: StudyResult) -> Iterator[Text]:
    """Yield the command that comes next."""
    yield _section_title("next")
    living = study.state_counts["running"] - study.n_lost
    left = study.state_counts["waiting"] + study.n_lost
    if left and not living:
        yield Text(f"{_resume_command(study)}    # goes on with the {left} trials that are left")
    if study.best_trial_number is not None and study.best_trial_number != study.baseline_trial_number:
        yield Text(
            f"fivefold study adopt {study.name}    # writes the values of trial {study.best_trial_number} into params.yaml"
        )
    elif study.pareto_front and len(study.objectives) > 1:
        example = study.pareto_front[0]
        yield Text(f"fivefold study adopt {study.name} --trial {example}    # or another one of the front")
    elif not study.trials_in_state("complete"):
        if living:
            yield Text("wait for the first trial")
        elif not left:
            yield Text(
                f"{_resume_command(study)}    # begins anew once models.{study.model} is mended as the reasons say"
            )
    else:
        yield Text(
            f"widen the ranges of models.{study.model}.search, or raise --trials: {_run_command(study)} --trials N"
        )
